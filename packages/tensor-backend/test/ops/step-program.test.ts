import { linear, StepProgram, tf, writeRows } from '@heed/tensor-backend'
import { describe, expect, test } from 'vitest'
import { inPlaceBackend } from '../../src/ops/in-place.ts'
import { expectNoLeak, noise, noiseTensor, onEachBackendThatReadsAtOnce } from './conformance.ts'

/** A step as decoding makes it: it writes a row of a cache at its position and computes with a weight and a scalar. */
class Steps {
  readonly program = new StepProgram()
  readonly weight = tf.tidy(() => tf.variable(noiseTensor([3, 3], 1)))
  readonly cache = tf.tidy(() => tf.variable(tf.zeros([1, 8, 1, 3])))
  computed = 0

  /** The results by the program and by the computation alone. */
  run(position: number, compute = this.compute): [Float32Array, Float32Array] {
    return tf.tidy(() => {
      const input = noiseTensor([1, 3], 10 + position)
      const state = (): tf.Tensor[] => [this.weight, this.cache]
      const { result } = this.program.run({ inputs: [input], position, state, compute: () => compute(input, position) })
      this.computed--
      return [result.dataSync<'float32'>(), compute(input, position).dataSync<'float32'>()]
    })
  }

  readonly compute = (input: tf.Tensor, position: number): tf.Tensor => {
    this.computed++
    const y = linear(input, this.weight)
    writeRows(this.cache, y.reshape([1, 1, 1, 3]), position)
    return tf.add(tf.sum(this.cache, 1).reshape([1, 3]), tf.mul(y, 0.5))
  }

  dispose(): void {
    this.program.dispose()
    tf.dispose([this.weight, this.cache])
  }
}

onEachBackendThatReadsAtOnce(backend => {
  expectNoLeak()
  const isRecorded = backend !== 'cpu'

  describe('StepProgram', () => {
    test('computes two steps and makes the others from the calls of kernels, with the same results', () => {
      const steps = new Steps()
      for (const position of [2, 3, 4, 5, 3, 6]) {
        const [result, expected] = steps.run(position)
        expect(result).toEqual(expected)
      }
      expect(steps.computed).toBe(isRecorded ? 2 : 6)
      steps.dispose()
    })

    test('computes anew when a variable has got other values, and when the number of inputs has changed', () => {
      const steps = new Steps()
      for (const position of [0, 1, 2]) steps.run(position)
      tf.tidy(() => steps.weight.assign(noiseTensor([3, 3], 2)))
      for (const position of [3, 4, 5]) {
        const [result, expected] = steps.run(position)
        expect(result).toEqual(expected)
      }
      expect(steps.computed).toBe(isRecorded ? 4 : 6)
      const inputs = tf.tidy(() => [noiseTensor([1, 3], 5), noiseTensor([1, 3], 6)])
      const compute = (): tf.Tensor => tf.add(inputs[0]!, inputs[1]!)
      const { result, isReplayed } = steps.program.run({ inputs, position: 6, state: () => [], compute })
      const sums = noise(3, 5).map((x, i) => x + noise(3, 6)[i]!)
      expect(result.dataSync()).toBeAllclose(sums)
      expect(isReplayed).toBe(false)
      tf.dispose([result, inputs])
      steps.dispose()
    })

    test('computes every step that decides in JavaScript by what kernels made', () => {
      const steps = new Steps()
      const decide = (input: tf.Tensor, position: number): tf.Tensor => {
        const y = steps.compute(input, position)
        return tf.mul(y, tf.argMax(y, 1).dataSync()[0]! < position ? 2 : -1)
      }
      for (const position of [0, 1, 2, 3, 4]) {
        const [result, expected] = steps.run(position, decide)
        expect(result).toEqual(expected)
      }
      expect(steps.computed).toBe(5)
      steps.dispose()
    })

    test('computes every step whose numbers change in another way than the position', () => {
      const steps = new Steps()
      const square = (input: tf.Tensor, position: number): tf.Tensor => {
        steps.computed++
        return tf.clipByValue(input, 0, position * position)
      }
      for (const position of [0, 1, 2, 3]) {
        const [result, expected] = steps.run(position, square)
        expect(result).toEqual(expected)
      }
      expect(steps.computed).toBe(4)
      steps.dispose()
    })

    test('gives its memory back, also when a step throws', () => {
      const { library } = inPlaceBackend() ?? {}
      const steps = new Steps()
      const before = library?.memoryUse().inUse
      for (const position of [0, 1, 2]) steps.run(position)
      steps.program.reset()
      expect(library?.memoryUse().inUse).toBe(before)
      const fail = (input: tf.Tensor, position: number): tf.Tensor => {
        steps.compute(input, position)
        throw new Error('no result')
      }
      expect(() => steps.run(3, fail)).toThrow('no result')
      expect(library?.memoryUse().inUse).toBe(before)
      const [result, expected] = steps.run(4)
      expect(result).toEqual(expected)
      steps.dispose()
    })
  })
})
