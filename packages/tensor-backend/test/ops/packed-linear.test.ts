import { linear, StepProgram, tf } from '@heed/tensor-backend'
import { describe, expect, test } from 'vitest'
import { inPlaceBackend } from '../../src/ops/in-place.ts'
import { expectNoLeak, noiseTensor, onEachBackendThatReadsAtOnce } from './conformance.ts'

/** A linear layer whose weight may lie packed. */
class Layer {
  readonly weight: tf.Variable
  readonly bias: tf.Tensor

  constructor(
    readonly layout: 'inOut' | 'outIn',
    depth: number,
    cols: number,
  ) {
    const shape = layout === 'inOut' ? [depth, cols] : [cols, depth]
    this.weight = tf.tidy(() => tf.variable(noiseTensor(shape, 1)))
    this.bias = noiseTensor([cols], 2)
  }

  forward(x: tf.Tensor, keepsPacked = true): tf.Tensor {
    return linear(x, this.weight, this.bias, 'relu', this.layout, keepsPacked)
  }

  /** As many products of many rows as it takes for the weight to lie packed. */
  pack(): void {
    tf.tidy(() => {
      const x = tf.zeros([16, this.weight.shape[this.layout === 'inOut' ? 0 : 1]!])
      for (let i = 0; i < 2; i++) this.forward(x)
    })
  }

  dispose(): void {
    tf.dispose([this.weight, this.bias])
  }
}

onEachBackendThatReadsAtOnce(backend => {
  expectNoLeak()
  const packs = backend !== 'cpu'
  const location = (tensor: tf.Tensor): number | undefined => inPlaceBackend()?.location(tensor)

  describe.each(['inOut', 'outIn'] as const)('a packed weight that lies %s', layout => {
    test.each([
      [1, 96, 192],
      [5, 40, 192],
      [17, 33, 1000],
      [40, 800, 96],
      [300, 64, 1536],
      [700, 512, 96], // the left side is copied by each task
      [1, 700, 4000],
    ])('multiplies [%i, %i] to %i columns as one that is not', (rows, depth, cols) => {
      const layer = new Layer(layout, depth, cols)
      const x = noiseTensor([rows, depth], 3)
      const expected = tf.tidy(() => layer.forward(x, false).dataSync())
      const before = location(layer.weight)
      layer.pack()
      if (packs) expect(location(layer.weight)).not.toBe(before)
      tf.tidy(() => {
        expect(layer.forward(x).dataSync()).toBeAllclose(expected)
      })
      tf.dispose(x)
      layer.dispose()
    })

    test('is read, changed and trained as ever', () => {
      const layer = new Layer(layout, 48, 96)
      const x = noiseTensor([20, 48], 3)
      const values = layer.weight.dataSync()
      layer.pack()
      expect(layer.weight.dataSync()).toEqual(values)
      layer.pack()
      tf.tidy(() => {
        expect(tf.mul(layer.weight, 1).dataSync()).toEqual(values)
      })
      layer.pack()
      tf.tidy(() => {
        const loss = (isPacked: boolean): tf.Scalar => tf.sum(tf.square(layer.forward(x, isPacked)))
        const [packed, plain] = [true, false].map(isPacked => tf.variableGrads(() => loss(isPacked), [layer.weight]))
        expect(packed!.value.dataSync()).toBeAllclose(plain!.value.dataSync())
        const [gradient, expected] = [packed!, plain!].map(({ grads }) => Object.values(grads)[0]!.dataSync())
        expect(gradient).toBeAllclose(expected!)
      })
      layer.pack()
      tf.tidy(() => layer.weight.assign(tf.mul(layer.weight, 2)))
      expect(layer.weight.dataSync()).toEqual(values.map(value => 2 * value))
      tf.dispose(x)
      layer.dispose()
    })
  })

  test('is read in order by a product that sees it otherwise', () => {
    const layer = new Layer('outIn', 96, 96)
    const x = noiseTensor([20, 96], 3)
    layer.pack()
    tf.tidy(() => {
      const product = (isPacked: boolean): Float32Array =>
        linear(x, layer.weight, layer.bias, 'none', 'inOut', isPacked).dataSync<'float32'>()
      const expected = product(false)
      layer.pack()
      for (let i = 0; i < 3; i++) expect(product(true)).toBeAllclose(expected)
    })
    tf.dispose(x)
    layer.dispose()
  })

  test('is not packed for one product, for few rows, while a gradient is recorded, or where nobody said so', () => {
    const layer = new Layer('outIn', 32, 64)
    const [many, few] = [noiseTensor([16, 32], 3), noiseTensor([15, 32], 4)]
    const start = location(layer.weight)
    tf.tidy(() => {
      layer.forward(many)
      for (let i = 0; i < 3; i++) {
        layer.forward(few)
        layer.forward(many, false)
        tf.variableGrads(() => tf.sum(layer.forward(many)), [layer.weight])
      }
    })
    expect(location(layer.weight)).toBe(start)
    tf.dispose([many, few])
    layer.dispose()
  })

  test('takes the memory it took, and a recorded step follows it', () => {
    const layer = new Layer('inOut', 256, 384)
    const program = new StepProgram()
    const x = noiseTensor([1, 256], 3)
    const expected = tf.tidy(() => layer.forward(x, false).dataSync())
    let computed = 0
    const step = (position: number): void =>
      tf.tidy(() => {
        const compute = (): tf.Tensor => {
          computed++
          return layer.forward(x)
        }
        const { result } = program.run({ inputs: [x], position, state: () => [layer.weight, layer.bias], compute })
        expect(result.dataSync()).toBeAllclose(expected)
      })
    for (const position of [0, 1, 2]) step(position)
    const memory = inPlaceBackend()?.library.memoryUse().inUse
    layer.pack()
    for (const position of [3, 4, 5]) step(position)
    expect(inPlaceBackend()?.library.memoryUse().inUse).toBe(memory)
    layer.weight.dataSync()
    for (const position of [6, 7, 8]) step(position)
    expect(inPlaceBackend()?.library.memoryUse().inUse).toBe(memory)
    expect(computed).toBe(packs ? 6 : 9)
    program.dispose()
    tf.dispose(x)
    layer.dispose()
  })
})
