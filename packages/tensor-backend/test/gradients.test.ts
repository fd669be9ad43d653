import {
  embedding,
  HeedError,
  init,
  layerNorm,
  linear,
  rmsNorm,
  swiGlu,
  tf,
  variableGradients,
} from '@heed/tensor-backend'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KernelBackend } from '../src/backends/kernel-backend.ts'
import { accumulate } from '../src/ops/accumulate.ts'
import { expectNoLeak, noiseTensor, onEachBackendThatReadsAtOnce } from './ops/conformance.ts'

const shape = [2, 3]

const constant = tf.keep(tf.tensor([1, -2, 3, 4, 0.5, -1], shape))
const addCustom = tf.customGrad((a, b) => ({
  value: tf.add(a as tf.Tensor, b as tf.Tensor),
  gradFunc: (dy: tf.Tensor) => [tf.clone(dy), tf.clone(dy)],
}))
const savingSquare = tf.customGrad((a, save) => {
  const x = a as tf.Tensor
  ;(save as tf.GradSaveFunc)([x])
  return { value: tf.square(x), gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(tf.mul(dy, 2), saved[0]!) }
})

/** Steps from tensors of one shape to another of it, so that they can follow each other in any order. */
const steps: Array<(a: tf.Tensor, b: tf.Tensor) => tf.Tensor> = [
  tf.add,
  tf.sub,
  tf.mul,
  (a, b) => tf.div(a, tf.add(tf.square(b), 1)),
  a => tf.mul(a, a),
  a => tf.tanh(a),
  a => tf.clone(a),
  a => tf.softmax(a),
  a => tf.transpose(tf.reshape(a, [3, 2])),
  a => tf.tidy(() => tf.exp(tf.neg(tf.square(a)))),
  (a, b) => tf.add(a, tf.sum(b, 0)),
  (a, b) => tf.concat([tf.slice(a, [0, 0], [1, 3]), tf.slice(b, [1, 0], [1, 3])]),
  (a, b) => tf.matMul(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true), a as tf.Tensor2D),
  a => tf.split(a, 3, 1)[1]!.tile([1, 3]),
  (a, b) => tf.add(tf.unstack(a)[0]!, b),
  a => tf.gather(a, tf.tensor1d([1, 1], 'int32')),
  (a, b) => tf.where(tf.greater(constant, 0), a, b),
  (a, b) => addCustom(a, b),
  a => savingSquare(a),
  (a, b) => rmsNorm(a, tf.sum(b, 0), 1e-5),
  (a, b) => layerNorm(a, tf.sum(b, 0), tf.mean(a, 0), 1e-5),
  (a, b) => swiGlu(a, b),
]

/** Each step takes two earlier tensors; the last `summed` of all make the loss. */
const graphs = fc.record({
  program: fc.array(fc.tuple(fc.nat(steps.length - 1), fc.nat(), fc.nat()), { minLength: 1, maxLength: 12 }),
  summed: fc.integer({ min: 1, max: 4 }),
})

function loss({ program, summed }: { program: number[][]; summed: number }, variables: tf.Variable[]): tf.Scalar {
  const tensors: tf.Tensor[] = [...variables, constant]
  for (const [step, a, b] of program) {
    tensors.push(steps[step!]!(tensors[a! % tensors.length]!, tensors[b! % tensors.length]!))
  }
  return tensors
    .slice(-summed)
    .map(tensor => tf.sum(tf.mul(tensor, constant)))
    .reduce((total, term) => tf.add(total, term)) as tf.Scalar
}

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(HeedError)
    return `${(error as HeedError).code} ${(error as HeedError).message}`
  }
  return 'nothing was thrown'
}

onEachBackendThatReadsAtOnce(() => {
  expectNoLeak()

  const withVariables = <R>(use: (variables: tf.Variable[]) => R): R => {
    const variables = [0, 1, 2].map(seed => {
      const initial = noiseTensor(shape, seed)
      const variable = tf.variable(initial)
      initial.dispose()
      return variable
    })
    try {
      return use(variables)
    } finally {
      tf.dispose(variables)
    }
  }

  test('gradients are, to the bit, those of tf.variableGrads, for the variables it has gradients of', () => {
    fc.assert(
      fc.property(graphs, graph =>
        withVariables(variables => {
          const f = (): tf.Scalar => loss(graph, variables)
          let expected: ReturnType<typeof tf.variableGrads> | undefined
          const before = tf.memory().numTensors
          try {
            expected = tf.tidy(() => tf.variableGrads(f, variables))
          } catch {
            expect(messageOf(() => variableGradients(f, variables))).toMatch(
              /^HEED_ARGUMENT_INVALID .* depends on 0 of 3/,
            )
            expect(tf.memory().numTensors).toBe(before)
            return
          }
          const { value, gradients } = variableGradients(f, variables)
          expect(value.dataSync()).toEqual(expected.value.dataSync())
          for (const variable of variables) {
            expect(gradients.get(variable)?.arraySync()).toEqual(expected.grads[variable.name]?.arraySync())
          }
          tf.dispose([value, ...gradients.values(), expected.value, Object.values(expected.grads)])
          expect(tf.memory().numTensors).toBe(before)
        }),
      ),
      { numRuns: 150, seed: 1 },
    )
  })

  test('the gradients inside another gradient are differentiated in their turn', () => {
    withVariables(([a, b]) => {
      // ∂a Σ a³b = 3a²b, and ∂b of its sum is 3a².
      tf.tidy(() => {
        const { gradients } = variableGradients(() => {
          const inner = variableGradients(() => tf.sum(tf.mul(tf.pow(a!, 3), b!)) as tf.Scalar, [a!])
          return tf.sum(inner.gradients.get(a!)!) as tf.Scalar
        }, [b!])
        expect(gradients.get(b!)!.dataSync()).toBeAllclose(tf.mul(3, tf.square(a!)).dataSync(), {
          atol: 1e-5,
          rtol: 1e-5,
        })
      })
    })
  })

  test('a variable that is not trainable, or not asked for, has no entry', () => {
    withVariables(([a, b, c]) => {
      a!.trainable = false
      tf.tidy(() => {
        const { gradients } = variableGradients(() => tf.sum(tf.mul(tf.mul(a!, b!), c!)) as tf.Scalar, [a!, b!])
        expect([...gradients.keys()]).toEqual([b])
      })
    })
  })

  test('a gradient function may return what it was given, one tensor twice, and tensors of others', () => {
    const same = tf.customGrad((a, b, c) => ({
      value: tf.addN([a as tf.Tensor, b as tf.Tensor, c as tf.Tensor]),
      gradFunc: (dy: tf.Tensor) => [dy, dy, constant],
    }))
    withVariables(variables => {
      const [a, b, c] = variables as [tf.Variable, tf.Variable, tf.Variable]
      const f = (): tf.Scalar => tf.sum(tf.addN([same(a, b, c), same(b, a, c), a])) as tf.Scalar
      const { value, gradients } = variableGradients(f, variables)
      expect(gradients.get(a)!.dataSync()).toEqual(new Float32Array(6).fill(3))
      expect(gradients.get(b)!.dataSync()).toEqual(new Float32Array(6).fill(2))
      expect(gradients.get(c)!.dataSync()).toEqual(constant.dataSync().map(x => 2 * x))
      tf.dispose([value, ...gradients.values()])
      expect(constant.dataSync()).toEqual(new Float32Array([1, -2, 3, 4, 0.5, -1]))
    })
  })

  test('a tensor of booleans or integers stops the gradient', () => {
    withVariables(([a, b]) => {
      tf.tidy(() => {
        const larger = (): tf.Scalar => tf.sum(tf.where(tf.greater(a!, b!), tf.square(a!), b!)) as tf.Scalar
        const { gradients } = variableGradients(larger, [a!])
        expect(gradients.get(a!)!.dataSync()).toEqual(tf.mul(tf.mul(2, a!), tf.greater(a!, b!)).dataSync())
      })
    })
    withVariables(([a]) => {
      tf.tidy(() => {
        const { indices } = tf.topk(a!, 1) // [2, 1]
        const chosen = (): tf.Scalar => tf.sum(tf.gather(tf.square(a!), tf.topk(a!, 1).indices, 1, 1)) as tf.Scalar
        const { gradients } = variableGradients(chosen, [a!])
        const mask = tf.oneHot(tf.reshape(indices, [2]), 3)
        expect(gradients.get(a!)!.dataSync()).toBeAllclose(tf.mul(tf.mul(2, a!), mask).dataSync(), {
          atol: 1e-6,
          rtol: 1e-6,
        })
      })
    })
  })

  test('a variable that is the value itself has gradient 1', () => {
    tf.tidy(() => {
      const variable = tf.variable(tf.scalar(3)) as tf.Variable & tf.Scalar
      const { gradients } = variableGradients(() => variable, [variable])
      expect(gradients.get(variable)!.dataSync()).toEqual(new Float32Array([1]))
      variable.dispose()
    })
  })

  test('what cannot be differentiated is one error, and leaves no tensor', () => {
    withVariables(variables => {
      const [a] = variables as [tf.Variable, ...tf.Variable[]]
      const before = tf.memory().numTensors
      const gradientsOf = (f: () => tf.Tensor): string =>
        messageOf(() => variableGradients(f as () => tf.Scalar, variables))

      expect(gradientsOf(() => tf.square(a))).toBe(
        'HEED_SHAPE_MISMATCH variableGradients: f() has shape [2, 3], expected []. ' +
          'Reshape f() or check the sizes it was made with.',
      )
      expect(gradientsOf(() => tf.sum(tf.square(constant)))).toBe(
        'HEED_ARGUMENT_INVALID variableGradients: f() depends on 0 of 3 trainable variables, expected at least 1. ' +
          'Use the variables inside f, with operations of tf.',
      )
      expect(gradientsOf(() => tf.sum(tf.mul(tf.square(a), tf.topk(a, 3).values)))).toBe(
        'HEED_ARGUMENT_INVALID variableGradients: f uses TopK, which has no gradient, expected operations that have one. ' +
          'Register one with tf.registerGradient, or wrap the operation in tf.customGrad.',
      )
      const misshapen = tf.customGrad(x => ({
        value: tf.sum(tf.square(x as tf.Tensor)),
        gradFunc: (dy: tf.Tensor) => [dy],
      }))
      expect(gradientsOf(() => misshapen(tf.tanh(a)))).toMatch(
        /^HEED_SHAPE_MISMATCH variableGradients: the gradient of .*: 0 has shape \[\], expected \[2, 3\]\./,
      )
      expect(() =>
        variableGradients(() => {
          tf.sum(tf.square(a))
          throw new Error('from f')
        }, variables),
      ).toThrow('from f')
      expect(tf.memory().numTensors).toBe(before)
      tf.tidy(() => {
        const { gradients } = variableGradients(() => tf.sum(a) as tf.Scalar, variables)
        expect(gradients.get(a)!.dataSync()).toEqual(new Float32Array(6).fill(1))
      })
    })
  })

  test('a weight that is both table and head gets the gradients of both', () => {
    const ids = tf.tensor1d([1, 0, 1], 'int32')
    withVariables(([weight, other]) => {
      const f = (): tf.Scalar => {
        const x = tf.mul(embedding(ids, weight!), tf.sum(other!, 0)) // [3, 3]
        return tf.sum(tf.square(linear(x, weight!))) as tf.Scalar
      }
      tf.tidy(() => {
        const expected = tf.variableGrads(f, [weight!, other!]).grads
        const { gradients } = variableGradients(f, [weight!, other!])
        for (const variable of [weight!, other!]) {
          const close = { atol: 1e-4, rtol: 1e-4 }
          expect(gradients.get(variable)!.dataSync()).toBeAllclose(expected[variable.name]!.dataSync(), close)
        }
      })
    })
    ids.dispose()
  })

  test('accumulate changes no tensor that shares memory with its arguments', () => {
    const [a, b] = [noiseTensor(shape, 1), noiseTensor(shape, 2)]
    const [aShared, bShared] = [tf.reshape(a, [6]), tf.clone(b)]
    const [aValues, bValues] = [a.dataSync(), b.dataSync()]
    const expected = tf.tidy(() => tf.add(a, b).dataSync())
    const sum = accumulate(a, b)
    expect(sum.dataSync()).toEqual(expected)
    expect(aShared.dataSync()).toEqual(aValues)
    expect(bShared.dataSync()).toEqual(bValues)
    tf.dispose([sum, aShared, bShared])
  })
})

describe.each(['native', 'wasm'] as const)('the memory of the backward pass on %s', name => {
  test('holds, in a deep chain, what was saved and two gradients, less with each operation', async () => {
    await init({ backend: name })
    const { library } = tf.backend() as KernelBackend
    const [depth, size] = [20, 65536]
    const used: number[] = []
    const watched = tf.customGrad((x, save) => {
      ;(save as tf.GradSaveFunc)([x as tf.Tensor])
      return {
        value: tf.tanh(x as tf.Tensor),
        gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => {
          const dx = tf.mul(dy, saved!)
          used.push((library.memoryUse().inUse - before) / (4 * size))
          return dx
        },
      }
    })
    const variable = tf.tidy(() => tf.variable(tf.ones([size])))
    const before = library.memoryUse().inUse
    const chain = (): tf.Scalar => {
      let x: tf.Tensor = variable
      for (let i = 0; i < depth; i++) x = tf.tidy(() => watched(x))
      return tf.sum(x) as tf.Scalar
    }
    const { value, gradients } = variableGradients(chain, [variable])
    // The first operation saved the variable itself, so that each next one but the first leaves one block more to free.
    expect(used.map(Math.round)).toEqual(Array.from({ length: depth }, (_, i) => depth - 1 - i + 2))
    tf.dispose([value, ...gradients.values(), variable])
    expect(library.memoryUse().inUse).toBe(before - 4 * size)
  })
  test('holds one gradient of a weight that is both table and head', async () => {
    await init({ backend: name })
    const { library } = tf.backend() as KernelBackend
    const [vocabSize, hiddenSize] = [4099, 257]
    const weight = tf.tidy(() => tf.variable(tf.fill([vocabSize, hiddenSize], 0.5)))
    const ids = tf.tensor1d([3, 4098], 'int32')
    const taken = (): number => library.memoryUse().inUse + library.memoryUse().cached
    const before = taken()
    const { value, gradients } = variableGradients(
      () => tf.sum(linear(embedding(ids, weight), weight)) as tf.Scalar,
      [weight],
    )
    expect((taken() - before) / (4 * vocabSize * hiddenSize)).toBeLessThan(1.5)
    expect(tf.tidy(() => tf.slice(gradients.get(weight)!, [3, 0], [1, 1]).dataSync()[0])).toBe(
      0.5 * 2 + vocabSize * 0.5,
    )
    tf.dispose([value, ...gradients.values(), weight, ids])
  })
})
