import { HeedError, init } from '@heed/tensor-backend'
import { interruptSignal } from '@heed/trainer'
import { perplexity } from '@heed/transformer'
import { AutoModelForCausalLM, loadTokenizer } from 'heed'
import type { PerplexityCommandOptions } from '../commands/eval.ts'
import { inputText } from '../input-text.ts'
import { formatCount } from '../terminal/format.ts'
import { ProgressBar } from '../terminal/progress.ts'

/** Longest window by default: longer ones gain little and cost attention. */
const MAX_CONTEXT = 2048

/** Prints the perplexity of a text. Throws HEED_ARGUMENT_INVALID where there is none, and as `perplexity`. */
export async function evaluatePerplexity(
  path: string,
  files: string[],
  options: PerplexityCommandOptions,
): Promise<void> {
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
