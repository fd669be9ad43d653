import { HeedError, init, tf } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import { interruptSignal } from '@heed/trainer'
import { Command } from 'commander'
import { AutoModelForCausalLM, type CausalLm, type GenerateOptions, loadTokenizer, resolveModel } from 'heed'
import { numberBetween, wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { inputText } from '../input-text.ts'
import { cacheDtypeOption, modelHelp } from '../load-options.ts'

export interface GenerationOptions extends Pick<GenerateOptions, 'cacheDtype'> {
  maxNewTokens: number
  temperature: number
  topK: number
  topP: number
  seed: number
}

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

interface GenerateCommandOptions extends GenerationOptions {
  file?: string
  json?: boolean
}

/** `heed generate`: continues a prompt with a saved model. */
export function generateCommand(): Command {
  return new Command('generate')
    .description('Continue a prompt with a model; text appears as it is made.')
    .argument('<model>', modelHelp)
    .argument('[prompt]', 'the text to continue; without one, --file or standard input is it')
    .option('--file <path>', 'take the whole of this UTF-8 file as the prompt')
    .option('--max-new-tokens <n>', 'tokens to write', wholeNumber(1), 200)
    .option('--temperature <x>', '0 takes the likeliest token each time', numberBetween(0, 100), 0.8)
    .option('--top-k <n>', 'sample among the k likeliest tokens; 0 for all', wholeNumber(0), 50)
    .option('--top-p <x>', 'sample among the likeliest tokens that hold this probability', numberBetween(0, 1), 1)
    .option('--seed <n>', 'of the sampling', wholeNumber(0), 42)
    .addOption(cacheDtypeOption())
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed generate heed-quickstart/model "ROMEO:" --max-new-tokens 100')
    .action(
      action(async (source: string, prompt: string | undefined, options: GenerateCommandOptions) => {
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
      }),
    )
}
