// Does tasks for `contestant.ts`: a line of JSON in, a line of JSON out.
import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { adamW, globalNorm, init, tf, variableGradients } from '@heed/tensor-backend'
import type { CausalLm } from '@heed/transformer'
import { AutoModelForCausalLM } from 'heed'
import { isModelTask, type ModelTask } from './contestant.ts'
import { type Run, serveTasks } from './serve-tasks.ts'

function matmul({ m, n, k }: Record<string, number>): () => void {
  const a = tf.randomUniform<tf.Rank.R2>([m!, k!], -1, 1)
  const b = tf.randomUniform<tf.Rank.R2>([k!, n!], -1, 1)
  return () => tf.matMul(a, b).dispose()
}

function train(sizes: Record<string, number>): () => void {
  const { layers, heads, hiddenSize, seqLen, batch, vocabSize } = sizes as Record<string, number>
  const config = llamaConfig.complete({
    vocabSize: vocabSize!,
    hiddenSize: hiddenSize!,
    intermediateSize: Math.round((hiddenSize! * 8) / 3 / 32) * 32,
    numHiddenLayers: layers!,
    numAttentionHeads: heads!,
    numKeyValueHeads: heads!,
    maxPositionEmbeddings: seqLen!,
    tieWordEmbeddings: true,
  })
  const model = new LlamaForCausalLM(config, { seed: 0 })
  model.train()
  const inputIds = tf.randomUniformInt([batch!, seqLen!], 0, vocabSize!, 1)
  const state = model.parameters().map(value => ({
    value,
    mean: tf.variable(tf.zerosLike(value), false),
    meanSquare: tf.variable(tf.zerosLike(value), false),
    weightDecay: value.rank > 1 ? 0.1 : 0,
  }))
  let step = 0
  return () => {
    step++
    const { value: loss, gradients } = variableGradients(
      () => model.forward({ inputIds, labels: inputIds }).loss!,
      model.parameters(),
    )
    const norm = globalNorm([...gradients.values()])
    adamW(
      state.map(parameter => ({ ...parameter, gradient: gradients.get(parameter.value)! })),
      { learningRate: 1e-3, beta1: 0.9, beta2: 0.99, eps: 1e-8, step, clip: { norm, maxNorm: 1 } },
    )
    loss.dataSync()
    tf.dispose([loss, norm, ...gradients.values()])
  }
}

const loadModel = ({ path }: ModelTask): Promise<CausalLm> => AutoModelForCausalLM.fromPretrained(path)

const promptOf = (count: number): number[] => Array.from({ length: count }, (_, i) => 100 + i)

/** Seconds from the first token after the prompt to the last, as a streamer sees them. */
async function decode(model: CausalLm, { prompt, written }: ModelTask): Promise<number> {
  const times: number[] = []
  const streamer = { put: () => void times.push(performance.now()) }
  await model.generate([promptOf(prompt)], { maxNewTokens: written + 1, eosTokenId: [], streamer })
  return (times.at(-1)! - times[0]!) / 1000
}

/** One model at a time is in memory. */
let last: { key: string; model: CausalLm } | undefined

async function prepareModel(task: ModelTask): Promise<Run> {
  if (last?.key !== task.model) {
    last?.model.dispose()
    last = undefined
  }
  if (task.name === 'load') {
    return async () => (await loadModel(task)).dispose()
  }
  last ??= { key: task.model, model: await loadModel(task) }
  const { model } = last
  if (task.name === 'decode') return () => decode(model, task)
  return () => model.generate([promptOf(task.prompt)], { maxNewTokens: 1, eosTokenId: [] })
}

await init()
await serveTasks(task => {
  if (task.name === 'matmul') return matmul(task.sizes)
  if (task.name === 'train') return train(task.sizes)
  if (isModelTask(task)) return prepareModel(task)
  throw new Error(`heed-worker: the task is ${task.name}, expected matmul, train or one with a model.`)
})
