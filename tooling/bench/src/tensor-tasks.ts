import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import {
  adamW,
  attention,
  crossEntropy,
  dropout,
  embedding,
  gelu,
  globalNorm,
  layerNorm,
  lazyZeros,
  linear,
  rmsNorm,
  rotary,
  silu,
  swiGlu,
  tf,
  variableGradients,
} from '@heed/tensor-backend'
import { type CausalLm, Gpt2LMHeadModel, gpt2Config } from '@heed/transformer'
import type { TensorTask } from './contestant.ts'
import type { Run } from './serve-tasks.ts'

type Sizes = Record<string, number>

export function matmul({ kind, sizes }: TensorTask): Run {
  const { m, n, k } = sizes as { m: number; n: number; k: number }
  const isTransposed = kind === 'transposed'
  const a = tf.randomUniform<tf.Rank.R2>([m, k], -1, 1)
  const b = tf.randomUniform<tf.Rank.R2>(isTransposed ? [n, k] : [k, n], -1, 1)
  return () => tf.matMul(a, b, false, isTransposed).dispose()
}

function createModel(kind: string, { layers, heads, hiddenSize, seqLen, vocabSize }: Sizes): CausalLm {
  const sizes = {
    vocabSize: vocabSize!,
    hiddenSize: hiddenSize!,
    numHiddenLayers: layers!,
    numAttentionHeads: heads!,
    maxPositionEmbeddings: seqLen!,
  }
  if (kind === 'gpt2') {
    const rates = { hiddenDropout: 0, embeddingDropout: 0, attentionDropout: 0 }
    return new Gpt2LMHeadModel(gpt2Config.complete({ ...sizes, ...rates, bosTokenId: null, eosTokenId: [] }), {
      seed: 0,
    })
  }
  const intermediateSize = Math.round((hiddenSize! * 8) / 3 / 32) * 32
  const config = { ...sizes, intermediateSize, numKeyValueHeads: heads!, tieWordEmbeddings: true }
  return new LlamaForCausalLM(llamaConfig.complete(config), { seed: 0 })
}

export function train({ kind, sizes }: TensorTask): Run {
  const { seqLen, batch, vocabSize } = sizes as Sizes
  const model = createModel(kind, sizes)
  model.train()
  const inputIds = tf.randomUniformInt([batch!, seqLen!], 0, vocabSize!, 1)
  const step = adamWStep(model.parameters())
  return () => {
    const { value: loss, gradients } = variableGradients(
      () => model.forward({ inputIds, labels: inputIds }).loss!,
      model.parameters(),
    )
    step(gradients)
    loss.dataSync()
    tf.dispose([loss, ...gradients.values()])
  }
}

function zeroVariable(shape: number[]): tf.Variable {
  const zeros = lazyZeros(shape)
  const variable = tf.variable(zeros, false)
  zeros.dispose()
  return variable
}

/** Clipping to norm 1 and AdamW. */
function adamWStep(parameters: tf.Variable[]): (gradients: Map<tf.Variable, tf.Tensor>) => void {
  const state = parameters.map(value => ({
    value,
    mean: zeroVariable(value.shape),
    meanSquare: zeroVariable(value.shape),
    weightDecay: value.rank > 1 ? 0.1 : 0,
  }))
  let step = 0
  return gradients => {
    step++
    const norm = globalNorm([...gradients.values()])
    adamW(
      state.map(parameter => ({ ...parameter, gradient: gradients.get(parameter.value)! })),
      { learningRate: 1e-3, beta1: 0.9, beta2: 0.99, eps: 1e-8, step, clip: { norm, maxNorm: 1 } },
    )
    norm.dispose()
  }
}

const random = (...shape: number[]): tf.Tensor => tf.randomUniform(shape, -1, 1)

/** The inputs that get a gradient, and the operation on them. */
type Operation = [inputs: tf.Tensor[], apply: (...inputs: tf.Tensor[]) => tf.Tensor]

const operations: Record<string, (sizes: Sizes) => Operation> = {
  linear: ({ rows, inFeatures, outFeatures }) => [
    [random(rows!, inFeatures!), random(outFeatures!, inFeatures!), random(outFeatures!)],
    (x, weight, bias) => linear(x!, weight!, bias),
  ],
  linearGelu: ({ rows, inFeatures, outFeatures }) => [
    [random(rows!, inFeatures!), random(outFeatures!, inFeatures!), random(outFeatures!)],
    (x, weight, bias) => linear(x!, weight!, bias, 'geluTanh'),
  ],
  layerNorm: ({ rows, hiddenSize }) => [
    [random(rows!, hiddenSize!), random(hiddenSize!), random(hiddenSize!)],
    (x, weight, bias) => layerNorm(x!, weight!, bias, 1e-5),
  ],
  rmsNorm: ({ rows, hiddenSize }) => [
    [random(rows!, hiddenSize!), random(hiddenSize!)],
    (x, weight) => rmsNorm(x!, weight!, 1e-6),
  ],
  rotary: ({ batch, seqLen, heads, headDim }) => {
    const cos = random(seqLen!, headDim! / 2)
    const sin = random(seqLen!, headDim! / 2)
    return [[random(batch!, seqLen!, heads!, headDim!)], x => rotary(x!, cos, sin)]
  },
  attention: ({ batch, seqLen, heads, headDim }) => [
    [0, 1, 2].map(() => random(batch!, seqLen!, heads!, headDim!)),
    (q, k, v) => attention(q!, k!, v!, { isCausal: true }),
  ],
  swiGlu: ({ rows, hiddenSize }) => [
    [random(rows!, hiddenSize!), random(rows!, hiddenSize!)],
    (gate, up) => swiGlu(gate!, up!),
  ],
  gelu: ({ rows, hiddenSize }) => [[random(rows!, hiddenSize!)], x => gelu(x!)],
  geluTanh: ({ rows, hiddenSize }) => [[random(rows!, hiddenSize!)], x => gelu(x!, 'tanh')],
  silu: ({ rows, hiddenSize }) => [[random(rows!, hiddenSize!)], x => silu(x!)],
  dropout: ({ rows, hiddenSize }) => [[random(rows!, hiddenSize!)], x => dropout(x!, 0.1, 7)],
  embedding: ({ rows, vocabSize, hiddenSize }) => {
    const ids = tf.randomUniformInt([rows!], 0, vocabSize!, 1)
    return [[random(vocabSize!, hiddenSize!)], weight => embedding(ids, weight!)]
  },
  crossEntropy: ({ rows, vocabSize }) => {
    const labels = tf.randomUniformInt([rows!], 0, vocabSize!, 1)
    return [[random(rows!, vocabSize!)], logits => crossEntropy(logits!, labels)]
  },
  softmax: ({ rows, hiddenSize }) => [[random(rows!, hiddenSize!)], x => tf.softmax(x!)],
}

/** An operation and the gradients of its inputs; for `adamW` a clipped step. */
export function op({ kind, sizes }: TensorTask): Run {
  if (kind === 'adamW') return optimizerStep(sizes)
  const [inputs, apply] = operations[kind]!(sizes)
  const dy = tf.onesLike(apply(...inputs))
  const gradients = tf.grads((...tensors: tf.Tensor[]) => apply(...tensors))
  return () => tf.dispose(gradients(inputs, dy))
}

function optimizerStep({ parameters, size }: Sizes): Run {
  const values = Array.from({ length: parameters! }, () => tf.variable(random(size! / 768, 768)))
  const gradients = new Map(values.map(value => [value as tf.Variable, random(...value.shape)]))
  const step = adamWStep(values)
  return () => step(gradients)
}
