import { HeedError, QuantizedWeight, quantizedEmbedding, quantizedLinear, tf } from '@heed/tensor-backend'
import { describe, expect, test } from 'vitest'
import { dequantizeGgml } from '../../src/files/gguf/dequantize.ts'
import { composedLinear } from '../../src/ops/linear.ts'
import { bytesOf, type QuantizedType } from '../../src/ops/quantized-format.ts'
import { expectNoLeak, noise, noiseTensor, onEachBackendThatReadsAtOnce } from './conformance.ts'
import { randomBlocks } from './random-blocks.ts'

const types = ['Q8_0', 'Q4_0', 'Q4_K', 'Q6_K', 'F16', 'BF16'] as const

function weightOf(type: QuantizedType, rows: number, cols: number): { weight: QuantizedWeight; values: Float32Array } {
  const bytes = randomBlocks(type, bytesOf(type, rows * cols))
  return { weight: QuantizedWeight.fromBytes(type, [rows, cols], bytes), values: dequantizeGgml(bytes, type, 'test') }
}

/** x as kernels see it: rounded to 8 bits, 32 values to a scale. */
function rounded(x: Float32Array): Float32Array {
  const out = new Float32Array(x.length)
  for (let at = 0; at < x.length; at += 32) {
    const block = x.subarray(at, at + 32)
    const scale = block.reduce((max, each) => Math.max(max, Math.abs(each)), 0) / 127
    for (const [i, each] of block.entries()) out[at + i] = Math.round(each / scale) * scale
  }
  return out
}

onEachBackendThatReadsAtOnce(backend => {
  expectNoLeak()

  describe.each(types)('%s', type => {
    const [rows, cols] = [37, 512]

    test('gives the weights of ggml back', () => {
      const { weight, values } = weightOf(type, rows, cols)
      const [all, some] = [
        weight.dequantize(),
        tf.tidy(() => quantizedEmbedding(tf.tensor2d([[36, 0, 17]], undefined, 'int32'), weight)),
      ]
      expect(all.shape).toEqual([rows, cols])
      expect(all.dataSync()).toBeAllclose(values, { atol: 0, rtol: 3e-7 })
      expect(some.shape).toEqual([1, 3, cols])
      const expected = [36, 0, 17].flatMap(row => [...values.subarray(row * cols, (row + 1) * cols)])
      expect(some.dataSync()).toBeAllclose(expected, { atol: 0, rtol: 3e-7 })
      tf.dispose([all, some])
      weight.dispose()
    })

    test.each([1, 2, 9, 70])('multiplies %i rows as the weights of ggml do', count => {
      const { weight, values } = weightOf(type, rows, cols)
      tf.tidy(() => {
        const x = noise(count * cols, 3)
        const bias = noiseTensor([rows], 4)
        const y = quantizedLinear(tf.tensor3d(x, [1, count, cols]), weight, bias)
        const seen = type.startsWith('Q') && backend !== 'cpu' ? rounded(x) : x
        const expected = composedLinear(
          tf.tensor2d(seen, [count, cols]),
          tf.tensor2d(values, [rows, cols]),
          bias,
          'none',
        )
        expect(y.shape).toEqual([1, count, rows])
        const largest = expected.abs().max().dataSync()[0]!
        // A value half-way between two quanta may be rounded to either.
        expect(y.dataSync()).toBeAllclose(expected.dataSync(), {
          atol: largest * (type.startsWith('Q') ? 1e-3 : 1e-6),
          rtol: 1e-5,
        })
      })
      weight.dispose()
    })

    test('has the gradient of a linear layer', () => {
      const { weight, values } = weightOf(type, rows, cols)
      tf.tidy(() => {
        const [x, bias] = [noiseTensor([3, cols], 1), noiseTensor([rows], 2)]
        const dy = noiseTensor([3, rows], 5)
        const [dx, dbias] = tf.grads((a, b) => quantizedLinear(a, weight, b))([x, bias], dy) as [tf.Tensor, tf.Tensor]
        expect(dx.dataSync()).toBeAllclose(tf.matMul(dy, tf.tensor2d(values, [rows, cols])).dataSync(), {
          atol: 1e-3,
          rtol: 1e-4,
        })
        expect(dbias.dataSync()).toBeAllclose(tf.sum(dy, 0).dataSync())
      })
      weight.dispose()
    })
  })

  test('a float32 matrix is rounded to 8 and 16 bits within their steps', () => {
    for (const [type, step] of [
      ['Q8_0', 1 / 127],
      ['F16', 2 ** -11],
      ['BF16', 2 ** -8],
    ] as const) {
      const matrix = noiseTensor([3, 64], 6)
      const weight = QuantizedWeight.quantize(matrix, type)
      const back = weight.dequantize()
      expect(back.dataSync()).toBeAllclose(matrix.dataSync(), { atol: step, rtol: 0 })
      tf.dispose([matrix, back])
      weight.dispose()
    }
  })

  const refusals: Array<[string, () => unknown, string]> = [
    [
      'bytes that are no whole number of blocks',
      () => QuantizedWeight.fromBytes('Q4_0', [2, 32], new Uint8Array(35)),
      'QuantizedWeight: 35 bytes of Q4_0 are given for [2, 32], expected rows of a multiple of 32, with 18 bytes for each 32. Check the shape.',
    ],
    [
      'a type without kernels',
      () => QuantizedWeight.fromBytes('Q2_K' as QuantizedType, [1, 256], new Uint8Array(84)),
      'QuantizedWeight: type is Q2_K, expected one of Q8_0, Q4_0, Q4_K, Q6_K, F16, BF16. Dequantize it instead.',
    ],
    [
      'columns that do not fill blocks',
      () => QuantizedWeight.quantize(tf.zeros([2, 33]), 'Q8_0'),
      'QuantizedWeight: inFeatures is 33, expected a multiple of 32 for Q8_0. Keep this weight as it is.',
    ],
  ]
  test.each(refusals)('%s are refused in words', (_, call, message) => {
    let error: unknown
    tf.tidy(() => {
      try {
        call()
      } catch (thrown) {
        error = thrown
      }
    })
    expect(error).toBeInstanceOf(HeedError)
    expect((error as HeedError).message).toBe(message)
  })
})
