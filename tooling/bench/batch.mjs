// How much faster one model writes many texts in one batch than one text: tokens/s of N streams over tokens/s of one, in turns,
// the median over the rounds. Models of random weights, prompts of 32 tokens.
// node --conditions=@heed/source --import ./tooling/scripts/typescript-hooks.mjs tooling/bench/batch.mjs \
//   [--model gpt2] [--streams 8] [--tokens 24] [--rounds 5]
import { parseArgs } from 'node:util'
import { AutoModelForCausalLM, BatchScheduler, init, tf } from 'heed'
import { modelPath } from './src/models.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'gpt2' },
    streams: { type: 'string', default: '8' },
    tokens: { type: 'string', default: '24' },
    rounds: { type: 'string', default: '5' },
  },
})
const [streams, tokens, rounds] = [values.streams, values.tokens, values.rounds].map(Number)

const report = await init()
const model = await AutoModelForCausalLM.fromPretrained(await modelPath(values.model))
const scheduler = new BatchScheduler(model, { maxSequences: streams })

/** Tokens/s of `count` texts, from the first token of the last text on: prompts are not what is measured. */
async function measure(count) {
  const prompts = Array.from({ length: count }, (_, i) => Array.from({ length: 32 }, (_, j) => 300 + 7 * i + 3 * j))
  const sequences = prompts.map(prompt => scheduler.submit(prompt, { maxNewTokens: tokens, eosTokenId: -1 }))
  for (const sequence of sequences) await sequence.next()
  const written = () => sequences.reduce((sum, { ids, promptLength }) => sum + ids.length - promptLength, 0)
  const [before, begin] = [written(), performance.now()]
  for (const sequence of sequences) for await (const _ of sequence);
  return (written() - before) / ((performance.now() - begin) / 1000)
}

const median = list => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
await measure(streams) // warm up
const results = []
for (let i = 0; i < rounds; i++) results.push([await measure(1), await measure(streams)])
await scheduler.dispose()
model.dispose()
console.log(
  JSON.stringify({
    model: values.model,
    backend: report.backend,
    streams,
    tokensPerSecondOfOne: median(results.map(([one]) => one)),
    tokensPerSecondOfAll: median(results.map(([, all]) => all)),
    ratio: median(results.map(([one, all]) => all / one)),
    numTensors: tf.memory().numTensors,
  }),
)
