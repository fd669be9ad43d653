import { HeedError, init } from '@heed/tensor-backend'
import { interruptSignal } from '@heed/trainer'
import { perplexity } from '@heed/transformer'
import { Command } from 'commander'
import { AutoModelForCausalLM, type LoadOptions, loadTokenizer } from 'heed'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { inputText } from '../input-text.ts'
import { dtypeOption, modelHelp } from '../load-options.ts'
import { formatCount } from '../terminal/format.ts'
import { ProgressBar } from '../terminal/progress.ts'

interface PerplexityCommandOptions {
  context?: number
  stride?: number
  dtype?: NonNullable<LoadOptions['dtype']>
  json?: boolean
}

/** Longest window by default: longer ones gain little and cost attention. */
const MAX_CONTEXT = 2048

/** `heed eval`: how well a model does. */
export function evalCommand(): Command {
  const command = new Command('eval').description('Measure a model.')
  command
    .command('perplexity')
    .description('How well a language model foresees a text: exp of the mean loss, and bits per byte.')
    .argument('<model>', modelHelp)
    .argument('[files...]', 'texts; standard input when left out')
    .option(
      '--context <n>',
      'tokens seen at once; what the model was trained on, at most 2048, by default',
      wholeNumber(2),
    )
    .option('--stride <n>', 'tokens the window moves on by; as many as it sees by default', wholeNumber(1))
    .addOption(dtypeOption())
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed eval perplexity my-model.gguf book.txt')
    .action(action(evaluatePerplexity))
  return command
}

async function evaluatePerplexity(path: string, files: string[], options: PerplexityCommandOptions): Promise<void> {
  const { context, stride, dtype, json = false } = options
  const text = await inputText(files)
  if (text === '') {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      'heed eval perplexity: standard input is empty, expected a text. Pipe one, or name files.',
    )
  }
  await init()
  const tokenizer = await loadTokenizer(path)
  const model = await AutoModelForCausalLM.fromPretrained(path, dtype === undefined ? {} : { dtype })
  const { ids } = tokenizer.encode(text)
  const trained = (model.config as { maxPositionEmbeddings?: number }).maxPositionEmbeddings ?? MAX_CONTEXT
  const { signal, release } = interruptSignal()
  let bar: ProgressBar | undefined
  const result = await perplexity(model, [...ids], {
    contextLength: context ?? Math.min(trained, MAX_CONTEXT),
    ...(stride !== undefined && { stride }),
    signal,
    onProgress({ scored, total }) {
      bar ??= new ProgressBar('perplexity', total, json)
      bar.update(scored)
    },
  })
  release()
  bar?.clear()
  const bitsPerByte = (result.loss * result.numTokens) / Math.LN2 / Buffer.byteLength(text)
  if (json) console.log(JSON.stringify({ ...result, bitsPerByte }))
  else {
    console.log(
      `perplexity ${result.perplexity.toFixed(4)}  loss ${result.loss.toFixed(4)}  ${bitsPerByte.toFixed(4)} bits per byte  ` +
        `${formatCount(result.numTokens)} tokens`,
    )
  }
  model.dispose()
}
