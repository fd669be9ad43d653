import { HeedError, init, tf } from '@heed/tensor-backend'
import { AutoModelForCausalLM, BatchScheduler, type CausalLm } from 'heed'
import type { BenchOptions } from '../commands/bench.ts'
import { formatBytes, formatTable } from '../terminal/format.ts'

/** Tokens per second of each way to use a model. */
interface Rates {
  prefill: number
  decode: number
  batch: number
}

/** Measures a model and prints its rates. Throws as `AutoModelForCausalLM.fromPretrained` and `measure`. */
export async function bench(path: string, { json, dtype, ...options }: BenchOptions): Promise<void> {
  const { backend } = await init()
  const model = await AutoModelForCausalLM.fromPretrained(path, dtype === undefined ? {} : { dtype })
  const weights = { numParameters: model.numParameters, numBytes: tf.memory().numBytes }
  const rates = await measure(model, options)
  model.dispose()
  if (json) {
    console.log(JSON.stringify({ backend, ...weights, ...options, tokensPerSecond: rates }))
    return
  }
  const { promptTokens, newTokens, streams } = options
  const rate = (value: number): string => `${value.toPrecision(3)} tokens/s`
  console.log(
    formatTable([
      ['Model', `${weights.numParameters.toLocaleString('en')} parameters, ${formatBytes(weights.numBytes)}`],
      ['Backend', backend],
      [`Reads ${promptTokens} tokens`, rate(rates.prefill)],
      [`Writes ${newTokens} tokens`, rate(rates.decode)],
      [
        `Writes ${streams} texts at once`,
        `${rate(rates.batch)}, ${(rates.batch / rates.decode).toFixed(1)} times one text`,
      ],
    ]),
  )
}

/** The median of each rate, after a round that is not counted. Throws HEED_ARGUMENT_INVALID where a text does not fit the context. */
async function measure(
  model: CausalLm,
  { promptTokens, newTokens, streams, rounds }: Omit<BenchOptions, 'dtype' | 'json'>,
): Promise<Rates> {
  const scheduler = new BatchScheduler(model, { maxSequences: streams, prefillChunk: promptTokens })
  const { vocabSize } = model.config
  const found: Rates[] = []
  try {
    checkLength(scheduler.contextLength, promptTokens, newTokens)
    for (let round = 0; round <= rounds; round++) {
      const one = await run(scheduler, 1, { vocabSize, promptTokens, newTokens })
      const many = await run(scheduler, streams, { vocabSize, promptTokens, newTokens })
      found.push({ ...one, batch: many.decode })
    }
  } finally {
    await scheduler.dispose()
  }
  const median = (name: keyof Rates): number =>
    found
      .slice(1)
      .map(rates => rates[name])
      .sort((a, b) => a - b)[Math.floor(rounds / 2)]!
  return { prefill: median('prefill'), decode: median('decode'), batch: median('batch') }
}

/** The scheduler would write fewer tokens than the rates are told for. */
function checkLength(contextLength: number, promptTokens: number, newTokens: number): void {
  if (promptTokens + newTokens <= contextLength) return
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `heed bench: --prompt-tokens is ${promptTokens} and --new-tokens ${newTokens}, expected at most the ${contextLength} tokens ` +
      'of the context in both. Lower one.',
  )
}

/** Writes some texts at once: until each has its first token prompts are read, from then on all write. */
async function run(
  scheduler: BatchScheduler,
  count: number,
  { vocabSize, promptTokens, newTokens }: { vocabSize: number; promptTokens: number; newTokens: number },
): Promise<{ prefill: number; decode: number }> {
  const begin = performance.now()
  const sequences = Array.from({ length: count }, (_, i) => {
    const prompt = Array.from({ length: promptTokens }, (_, j) => (7 * i + 13 * j) % vocabSize)
    return scheduler.submit(prompt, { maxNewTokens: newTokens, eosTokenId: -1, maxUnread: newTokens + 1 })
  })
  for (const sequence of sequences) await sequence.next()
  const written = (): number => sequences.reduce((sum, { ids }) => sum + ids.length - promptTokens, 0)
  const [middle, before] = [performance.now(), written()]
  for (const sequence of sequences) for await (const _ of sequence);
  const decode = (written() - before) / ((performance.now() - middle) / 1000)
  return { prefill: (count * promptTokens) / ((middle - begin) / 1000), decode }
}
