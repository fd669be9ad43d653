import {
  type Activation,
  type AdafactorOptions,
  type AdamWOptions,
  type AttentionOptions,
  adafactor,
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
  type SgdOptions,
  sgd,
  silu,
  swiGlu,
  tf,
} from '@heed/tensor-backend'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectNoLeak, onEachBackend } from './conformance.ts'
import { attrsOf, casesOf, type OpCase, readFixture } from './fixture.ts'

interface OptimizerCase<Decay> {
  steps: number
  weightDecay: Decay
}

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

async function expectClose(actual: tf.Tensor, expected: tf.Tensor, { atol, rtol }: OpCase): Promise<void> {
  expect(actual.shape).toEqual(expected.shape)
  expect(await actual.data()).toBeAllclose(await expected.data(), { atol, rtol })
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
    test.each(cases)('gives the numbers of PyTorch, with gradients: $name', async each => {
      const wantedOutputs = pick(tensors, each.outputs)
      const [outputs, gradients] = tf.tidy(() => {
        const inputs = pick(tensors, each.inputs)
        const results = calls[op]!(inputs, each.attrs)
        const upstream = pick(tensors, each.dy)
        const wanted = Object.keys(each.grads)
        // Σ over outputs of output · upstream, so that the gradients of several outputs add up.
        const objective = (...values: tf.Tensor[]): tf.Scalar => {
          const changed = { ...inputs, ...Object.fromEntries(wanted.map((name, i) => [name, values[i]!])) }
          const at = calls[op]!(changed, each.attrs)
          const parts = Object.entries(upstream).map(([name, dy]) => tf.sum(tf.mul(at[name]!, dy)))
          return tf.addN(parts) as tf.Scalar
        }
        const picked = Object.fromEntries(Object.keys(wantedOutputs).map(name => [name, results[name]!.clone()]))
        return [picked, tf.grads(objective)(wanted.map(name => inputs[name]!))] as [Inputs, tf.Tensor[]]
      })
      for (const [name, expected] of Object.entries(wantedOutputs)) await expectClose(outputs[name]!, expected, each)
      for (const [i, key] of Object.values(each.grads).entries()) await expectClose(gradients[i]!, tensors[key]!, each)
      tf.dispose([outputs, gradients])
    })
  })

  /** Variables of the parameters of a case, and of zeros in the shapes of the state that PyTorch keeps. */
  async function optimizerOf(each: OpCase): Promise<{
    values: tf.Variable[]
    state: (name: string, i: number) => tf.Variable | undefined
    gradient: (i: number, step: number) => tf.Tensor
    finish: () => Promise<void>
  }> {
    const inputs = pick(tensors, each.inputs)
    const outputs = pick(tensors, each.outputs)
    const starts = Object.keys(inputs)
      .filter(name => name.startsWith('param'))
      .map(name => inputs[name]!)
    const values = starts.map(start => tf.variable(start))
    const before = await starts[0]!.data()
    const states = new Map(
      Object.entries(outputs)
        .filter(([name]) => !name.startsWith('param'))
        .map(([name, { shape }]) => [name, tf.tidy(() => tf.variable(tf.zeros(shape)))]),
    )
    return {
      values,
      state: (name, i) => states.get(`${name}${i}`),
      gradient: (i, step) => inputs[`grad${i}.step${step}`]!,
      finish: async () => {
        for (const [i, value] of values.entries()) await expectClose(value, outputs[`param${i}`]!, each)
        for (const [name, state] of states) await expectClose(state, outputs[name]!, each)
        // The tensor a variable was made from is not the variable.
        expect(await starts[0]!.data()).toEqual(before)
        tf.dispose([...values, ...states.values()])
      },
    }
  }

  test.each(casesOf('adamW'))('adamW takes the steps of PyTorch: $name', async each => {
    const { steps, weightDecay, ...settings } = attrsOf<Omit<AdamWOptions, 'step'> & OptimizerCase<number[]>>(each)
    const { values, state, gradient, finish } = await optimizerOf(each)
    for (let step = 1; step <= steps; step++) {
      const parameters = values.map((value, i) => ({
        value,
        gradient: gradient(i, step),
        mean: state('mean', i)!,
        meanSquare: state('meanSquare', i)!,
        weightDecay: weightDecay[i]!,
      }))
      adamW(parameters, { ...settings, step })
    }
    await finish()
  })

  test.each(casesOf('sgd'))('sgd takes the steps of PyTorch: $name', async each => {
    const { steps, weightDecay, ...settings } = attrsOf<SgdOptions & OptimizerCase<number>>(each)
    const { values, state, gradient, finish } = await optimizerOf(each)
    for (let step = 1; step <= steps; step++) {
      const parameters = values.map((value, i) => ({
        value,
        gradient: gradient(i, step),
        velocity: state('velocity', i),
        weightDecay,
      }))
      sgd(parameters, settings)
    }
    await finish()
  })

  test.each(casesOf('adafactor'))('adafactor takes the steps of PyTorch: $name', async each => {
    type Settings = Omit<AdafactorOptions, 'step' | 'eps'> & { eps: [null, number] } & OptimizerCase<number>
    const { steps, weightDecay, eps, ...settings } = attrsOf<Settings>(each)
    const { values, state, gradient, finish } = await optimizerOf(each)
    for (let step = 1; step <= steps; step++) {
      const parameters = values.map((value, i) => {
        const states = (['rowVariance', 'columnVariance', 'variance'] as const).flatMap(name => {
          const found = state(name, i)
          return found ? [[name, found]] : []
        })
        return { value, gradient: gradient(i, step), weightDecay, ...Object.fromEntries(states) }
      })
      adafactor(parameters, { ...settings, eps: [2 ** -23, eps[1]], step })
    }
    await finish()
  })

  describe('globalNorm', () => {
    test.each(casesOf('globalNorm'))('is the norm of PyTorch: $name', async each => {
      const norm = globalNorm(Object.values(pick(tensors, each.inputs)))
      await expectClose(norm, tensors[each.outputs.norm!]!, each)
      norm.dispose()
    })
  })
})
