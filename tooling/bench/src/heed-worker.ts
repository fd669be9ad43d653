// Does tasks for `contestant.ts`: a line of JSON in, a line of JSON out.
import { createInterface } from 'node:readline'
import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { adamW, globalNorm, init, tf, variableGradients } from '@heed/tensor-backend'
import type { Task } from './contestant.ts'

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

/** A slow contestant does fewer repeats in a turn. */
const maxTurnSeconds = 5

const prepare = { matmul, train }
const prepared = new Map<string, () => void>()

await init()
for await (const line of createInterface({ input: process.stdin })) {
  const { name, sizes, repeats } = JSON.parse(line) as Task & { repeats: number }
  const key = JSON.stringify([name, sizes])
  if (!prepared.has(key)) {
    const task = prepare[name](sizes)
    task()
    prepared.set(key, task)
  }
  const task = prepared.get(key)!
  const seconds: number[] = []
  const turn = performance.now()
  while (seconds.length < repeats && (seconds.length === 0 || performance.now() - turn < maxTurnSeconds * 1000)) {
    const start = performance.now()
    task()
    seconds.push((performance.now() - start) / 1000)
  }
  process.stdout.write(`${JSON.stringify({ seconds })}\n`)
}
