import { HeedError, init } from '@heed/tensor-backend'
import { type Pipeline, type PipelineTask, pipeline } from 'heed'
import { inputText } from './input-text.ts'
import { ProgressBar } from './terminal/progress.ts'
import type { TextOptions } from './text-command.ts'

/** The texts of the arguments, or the lines of the files or of standard input. Throws HEED_ARGUMENT_INVALID when there are none. */
async function textsOf(given: readonly string[], files: readonly string[] = []): Promise<string[]> {
  if (given.length > 0 && files.length > 0) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `--file is ${files.join(', ')}, expected none beside texts given as arguments. Leave one of them out.`,
    )
  }
  if (given.length > 0) return [...given]
  const lines = (await inputText(files)).replace(/\r?\n$/, '').split(/\r?\n/)
  if (lines.length > 1 || lines[0] !== '') return lines
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    'standard input is empty, expected texts. Give them as arguments, by --file, or on standard input, one a line.',
  )
}

/** Batches whose texts are sorted by length together: enough to save padding, few enough to print soon. */
const WINDOW = 16

/**
 * Gives `run` the texts in batches of like lengths, and `emit` the results in the order of the texts, some batches at a
 * time. A bar shows how far it is.
 */
export async function runInBatches<Result>(
  texts: readonly string[],
  { label, batchSize, isQuiet }: { label: string; batchSize: number; isQuiet: boolean },
  run: (batch: string[]) => Promise<readonly Result[]>,
  emit: (text: string, result: Result) => void,
): Promise<void> {
  const bar = new ProgressBar(label, texts.length, isQuiet || texts.length <= batchSize)
  let done = 0
  for (let start = 0; start < texts.length; start += WINDOW * batchSize) {
    const window = texts.slice(start, start + WINDOW * batchSize)
    const order = [...window.keys()].sort((a, b) => window[a]!.length - window[b]!.length)
    const results: Result[] = []
    for (let i = 0; i < order.length; i += batchSize) {
      const places = order.slice(i, i + batchSize)
      const batch = await run(places.map(place => window[place]!))
      for (const [j, place] of places.entries()) results[place] = batch[j]!
      done += places.length
      bar.update(done)
    }
    bar.clear()
    for (const [place, text] of window.entries()) emit(text, results[place]!)
  }
}

/** How results are shown: an object for machines, lines for people. */
export interface Shown<Result> {
  /** The result of a text without any word, which no model is asked about; people see an empty line. */
  nothing: Result
  json(text: string, result: Result): object
  lines(text: string, result: Result): string
}

const isBlank = (text: string): boolean => text.trim() === ''

/** Runs a task's pipeline over the texts of a command and prints what it gives. Throws what the pipeline throws. */
export async function runTask<T extends PipelineTask, Result>(
  task: T,
  model: string,
  texts: readonly string[],
  { file, batchSize, json }: TextOptions,
  run: (pipe: Pipeline<T>, batch: string[]) => Promise<readonly Result[]>,
  shown: Shown<Result>,
): Promise<void> {
  await init()
  const isJson = json === true
  const pipe = await pipeline(task, model)
  try {
    const inputs = await textsOf(texts, file)
    await runInBatches(
      inputs,
      { label: task, batchSize, isQuiet: isJson },
      async batch => {
        const texts = batch.filter(text => !isBlank(text))
        const results = texts.length > 0 ? [...(await run(pipe, texts))] : []
        return batch.map(text => (isBlank(text) ? shown.nothing : results.shift()!))
      },
      (text, result) => {
        if (isJson) console.log(JSON.stringify(shown.json(text, result)))
        else console.log(isBlank(text) ? '' : shown.lines(text, result))
      },
    )
  } finally {
    pipe.dispose()
  }
}
