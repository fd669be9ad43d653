import {
  type Activation,
  type AttentionOptions,
  adamW,
  attention,
  attentionWithWeights,
  type CrossEntropyOptions,
  crossEntropy,
  embedding,
  gelu,
  globalNorm,
  layerNorm,
  linear,
  rmsNorm,
  rotary,
  silu,
  swiGlu,
  tf,
} from '@heed/tensor-backend'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectNoLeak, onEachBackend } from './conformance.ts'
import { casesOf, type OpCase, readFixture } from './fixture.ts'

type Inputs = Record<string, tf.Tensor>

/** How each operation of the fixture is called here, with the names of its differentiable outputs. */
const calls: Record<string, (inputs: Inputs, attrs: Record<string, unknown>) => Inputs> = {
  linear: ({ x, weight, bias }, { activation }) => ({ y: linear(x!, weight!, bias, activation as Activation) }),
  matMul: ({ a, b }, { transposeA, transposeB }) => ({
    y: tf.matMul(a!, b!, transposeA as boolean, transposeB as boolean),
  }),
  rmsNorm: ({ x, weight }, { eps }) => ({ y: rmsNorm(x!, weight!, eps as number) }),
  layerNorm: ({ x, weight, bias }, { eps }) => ({ y: layerNorm(x!, weight!, bias, eps as number) }),
  rotary: ({ x, cos, sin }, { isInterleaved }) => ({
    y: rotary(x!, cos!, sin!, { isInterleaved: isInterleaved as boolean }),
  }),
  attention: ({ q, k, v, bias, keyPaddingMask }, { returnsWeights, ...attrs }) => {
    const options: AttentionOptions = { ...attrs, ...(bias && { bias }), ...(keyPaddingMask && { keyPaddingMask }) }
    if (!returnsWeights) return { y: attention(q!, k!, v!, options) }
    const { output, weights } = attentionWithWeights(q!, k!, v!, options)
    return { y: output, weights }
  },
  relu: ({ x }) => ({ y: tf.relu(x!) }),
  gelu: ({ x }) => ({ y: gelu(x!) }),
  geluTanh: ({ x }) => ({ y: gelu(x!, 'tanh') }),
  silu: ({ x }) => ({ y: silu(x!) }),
  swiGlu: ({ gate, up }) => ({ y: swiGlu(gate!, up!) }),
  embedding: ({ ids, weight }) => ({ y: embedding(ids!, weight!) }),
  softmax: ({ x }) => ({ y: tf.softmax(x!) }),
  logSoftmax: ({ x }) => ({ y: tf.logSoftmax(x!) }),
  crossEntropy: ({ logits, labels }, attrs) => ({
    loss: crossEntropy(logits!, labels!, attrs as CrossEntropyOptions),
  }),
}

function pick(tensors: Inputs, names: Record<string, string>): Inputs {
  return Object.fromEntries(Object.entries(names).map(([name, key]) => [name, tensors[key]!]))
}

function expectClose(actual: tf.Tensor, expected: tf.Tensor, { atol, rtol }: OpCase): void {
  expect(actual.shape).toEqual(expected.shape)
  expect(actual.dataSync()).toBeAllclose(expected.dataSync(), { atol, rtol })
}

onEachBackend(() => {
  let tensors: Inputs
  beforeAll(async () => {
    tensors = await readFixture()
  })
  afterAll(() => tf.dispose(tensors))
  expectNoLeak()

  describe.each(Object.keys(calls))('%s', op => {
    // tfjs has no gradient of a matrix product that broadcasts its batches.
    const cases = casesOf(op).filter(({ name }) => op !== 'matMul' || !name.startsWith('broadcast'))
    test.each(cases)('gives the numbers of PyTorch, with gradients: $name', each => {
      tf.tidy(() => {
        const inputs = pick(tensors, each.inputs)
        const outputs = calls[op]!(inputs, each.attrs)
        for (const [name, expected] of Object.entries(pick(tensors, each.outputs))) {
          expectClose(outputs[name]!, expected, each)
        }
        const upstream = pick(tensors, each.dy)
        const wanted = Object.keys(each.grads)
        // Σ over outputs of output · upstream, so that the gradients of several outputs add up.
        const objective = (...values: tf.Tensor[]): tf.Scalar => {
          const changed = { ...inputs, ...Object.fromEntries(wanted.map((name, i) => [name, values[i]!])) }
          const results = calls[op]!(changed, each.attrs)
          const parts = Object.entries(upstream).map(([name, dy]) => tf.sum(tf.mul(results[name]!, dy)))
          return tf.addN(parts) as tf.Scalar
        }
        const gradients = tf.grads(objective)(wanted.map(name => inputs[name]!))
        for (const [i, name] of wanted.entries()) expectClose(gradients[i]!, tensors[each.grads[name]!]!, each)
      })
    })
  })

  describe('adamW', () => {
    test.each(casesOf('adamW'))('takes the steps of PyTorch: $name', each => {
      const inputs = pick(tensors, each.inputs)
      const { steps, weightDecay, ...settings } = each.attrs as {
        steps: number
        weightDecay: number[]
        learningRate: number
        beta1: number
        beta2: number
        eps: number
      }
      const parameters = weightDecay.map((decay, i) => {
        const start = inputs[`param${i}`]!
        const zeros = (): tf.Variable => tf.tidy(() => tf.variable(tf.zeros(start.shape)))
        return { value: tf.variable(start), mean: zeros(), meanSquare: zeros(), weightDecay: decay }
      })
      const before = inputs.param0!.dataSync()
      for (let step = 1; step <= steps; step++) {
        const withGradients = parameters.map((each, i) => ({ ...each, gradient: inputs[`grad${i}.step${step}`]! }))
        adamW(withGradients, { ...settings, step })
      }
      for (const [i, { value, mean, meanSquare }] of parameters.entries()) {
        expectClose(value, tensors[each.outputs[`param${i}`]!]!, each)
        expectClose(mean, tensors[each.outputs[`mean${i}`]!]!, each)
        expectClose(meanSquare, tensors[each.outputs[`meanSquare${i}`]!]!, each)
      }
      // The tensor a variable was made from is not the variable.
      expect(inputs.param0!.dataSync()).toEqual(before)
      for (const { value, mean, meanSquare } of parameters) tf.dispose([value, mean, meanSquare])
    })
  })

  describe('globalNorm', () => {
    test.each(casesOf('globalNorm'))('is the norm of PyTorch: $name', each => {
      const norm = globalNorm(Object.values(pick(tensors, each.inputs)))
      expectClose(norm, tensors[each.outputs.norm!]!, each)
      norm.dispose()
    })
  })
})
