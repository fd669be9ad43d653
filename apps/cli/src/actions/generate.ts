import { HeedError, init, tf } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import { interruptSignal } from '@heed/trainer'
import { AutoModelForCausalLM, type CausalLm, type GenerateOptions, loadTokenizer, resolveModel } from 'heed'
import type { GenerateCommandOptions, GenerationOptions } from '../commands/generate.ts'
import { inputText } from '../input-text.ts'

interface Listening extends Pick<GenerateOptions, 'onWarning' | 'signal'> {
  onText(text: string): void
}

/**
 * Continues a prompt, given by its ids, and gives the text as it is made to `onText`; temperature 0 is greedy. Returns the whole text.
 * Throws as `model.generate`.
 */
export async function generateText(
  model: CausalLm,
  tokenizer: Tokenizer,
  promptIds: readonly number[],
  { temperature, topK, topP, ...options }: GenerationOptions,
  { onText, ...listening }: Listening,
): Promise<string> {
  const stream = tokenizer.decodeStream()
  for (const id of promptIds) stream.push(id)
  let text = ''
  const emit = (piece: string): void => {
    text += piece
    onText(piece)
  }
  await model.generate([[...promptIds]], {
    ...options,
    ...(temperature === 0 ? { doSample: false } : { doSample: true, temperature, topK, topP }),
    ...listening,
    streamer: { put: ids => emit(ids.map(id => stream.push(id)).join('')), end: () => emit(stream.end()) },
  })
  return text
}

/** Prints a prompt and what a model makes of it. Throws HEED_ARGUMENT_INVALID, and as `model.generate`. */
export async function generate(
  source: string,
  prompt: string | undefined,
  options: GenerateCommandOptions,
): Promise<void> {
  const { json, file, ...generation } = options
  if (prompt !== undefined && file !== undefined) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `heed generate: --file is ${file}, expected none beside a prompt. Leave one of them out.`,
    )
  }
  await init()
  const folder = await resolveModel(source)
  const tokenizer = await loadTokenizer(folder)
  const model = await AutoModelForCausalLM.fromPretrained(folder)
  const start = prompt ?? (await inputText(file === undefined ? [] : [file]))
  const onText = (text: string): void => void (json || process.stdout.write(text))
  const { ids } = tokenizer.encode(start)
  onText(start)
  const { signal } = interruptSignal()
  const warnings: string[] = []
  const text = await generateText(model, tokenizer, ids, generation, {
    onText,
    onWarning: warning => void warnings.push(warning), // said after the text, not within it
    signal,
  }).catch(error => {
    onText('\n') // what went wrong is no part of the text
    throw error
  })
  if (json) console.log(JSON.stringify({ prompt: start, text, numTensors: tf.memory().numTensors }))
  else console.log()
  for (const warning of warnings) console.warn(`heed ${warning}`)
  model.dispose()
}
