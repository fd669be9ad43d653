// One model trained by one process and by two under mpirun, one thread each, in turns: how far two are from twice as fast, and
// which part of the time the sums of gradients took, both as the Trainer reports it.
// node --conditions=@heed/source --import ./tooling/scripts/typescript-hooks.mjs tooling/bench/data-parallel.mjs \
//   [--rounds 3] [--steps 20] [--processes 2]
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { init } from '@heed/tensor-backend'
import { PackedTokens, Trainer } from '@heed/trainer'

const sizes = { hiddenSize: 384, intermediateSize: 1024, numHiddenLayers: 6, numAttentionHeads: 6, numKeyValueHeads: 6 }
const vocabSize = 4096
const blockSize = 128
const batchSize = 8

async function work(steps) {
  await init({ backend: 'native' })
  const model = new LlamaForCausalLM(llamaConfig.complete({ vocabSize, ...sizes }), { seed: 1 })
  const tokens = Uint16Array.from({ length: 200 * blockSize }, (_, i) => (i * 2654435761) % vocabSize)
  const trainDataset = new PackedTokens(tokens, { blockSize })
  const train = maxSteps => {
    const args = { maxSteps, perDeviceTrainBatchSize: batchSize, learningRate: 1e-3, loggingStrategy: 'no' }
    return new Trainer({ model, args, trainDataset }).train()
  }
  await train(2) // the first steps make room
  const { metrics } = await train(steps)
  const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? 0)
  if (rank === 0) console.log(JSON.stringify(metrics))
}

function run(processes, steps) {
  const program = [...process.execArgv, fileURLToPath(import.meta.url), '--worker', '--steps', String(steps)]
  const mpirun = ['--allow-run-as-root', '--oversubscribe', '-np', String(processes), process.execPath, ...program]
  const env = { ...process.env, HEED_THREADS: '1' }
  const { stdout, stderr } = spawnSync('mpirun', mpirun, { encoding: 'utf8', env })
  const line = stdout.split('\n').find(each => each.startsWith('{'))
  if (!line) throw new Error(`mpirun: no numbers came, expected some. ${stderr}`)
  const { trainStepsPerSecond, communicationShare, waitingShare } = JSON.parse(line)
  const tokensPerSecond = trainStepsPerSecond * processes * batchSize * blockSize
  return { tokensPerSecond, communicationShare, waitingShare }
}

const { values } = parseArgs({
  options: {
    worker: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '20' },
    processes: { type: 'string', default: '2' },
  },
})
const [steps, rounds, processes] = [values.steps, values.rounds, values.processes].map(Number)
if (values.worker) await work(steps)
else {
  const median = numbers => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
  const results = Array.from({ length: rounds }, () => [run(1, steps), run(processes, steps)])
  const of = (name, which) => median(results.map(round => round[which][name]))
  const efficiency = median(results.map(([one, all]) => all.tokensPerSecond / (processes * one.tokensPerSecond)))
  const rates = { one: Math.round(of('tokensPerSecond', 0)), all: Math.round(of('tokensPerSecond', 1)) }
  const shares = { communicationShare: of('communicationShare', 1), waitingShare: of('waitingShare', 1) }
  console.log(JSON.stringify({ processes, rounds, tokensPerSecond: rates, efficiency, ...shares }))
}
