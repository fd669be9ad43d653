import {
  type AttentionOptions,
  attention,
  packedAttention,
  packRows,
  packsRows,
  tf,
  unpackRows,
  writeRows,
} from '@heed/tensor-backend'
import { describe, expect, test } from 'vitest'
import { dequantizeGgml } from '../../src/files/gguf/dequantize.ts'
import { quantizeGgml } from '../../src/files/gguf/quantize.ts'
import { expectNoLeak, noise, noiseTensor, onEachBackendThatReadsAtOnce } from './conformance.ts'

const packings = ['float16', 'q8_0'] as const
const words = { float16: 16, q8_0: 9 } // of 32 numbers

onEachBackendThatReadsAtOnce(backend => {
  if (backend === 'cpu') {
    test('there are no packed rows', () => expect(packsRows()).toBe(false))
    return
  }
  expectNoLeak()

  test.each(packings)('rows of %s hold what ggml holds', packing => {
    const special = [0, -0, 1e-8, 6e-5, -3e-6, 2049, 4097, 65504, -1, 1 / 3, 0.1]
    const values = Float32Array.from({ length: 64 * 5 }, (_, i) => special[i] ?? 8 * noise(320, 3)[i]!)
    const x = tf.tensor4d(values, [1, 5, 2, 32])
    const packed = packRows(x, packing)
    expect([packed.dtype, packed.shape]).toEqual(['int32', [1, 5, 2, words[packing]]])
    const unpacked = unpackRows(packed, packing, 32)
    const type = packing === 'float16' ? 'F16' : 'Q8_0'
    const theirs = dequantizeGgml(quantizeGgml(values, type, 'test'), type, 'test')
    const found = unpacked.dataSync()
    if (packing === 'float16') expect(found).toEqual(theirs)
    for (const [i, value] of values.entries()) {
      const block = values.subarray(i - (i % 32), i - (i % 32) + 32).map(Math.abs)
      const step = packing === 'float16' ? 0 : Math.max(...block) / 127
      // half a step, and what a float16 scale is off by, at 127 steps
      expect(Math.abs(found[i]! - theirs[i]!)).toBeLessThanOrEqual(step * 1.001)
      if (packing === 'q8_0') expect(Math.abs(found[i]! - value)).toBeLessThanOrEqual(0.57 * step)
    }
    tf.dispose([x, packed, unpacked])
  })

  test.each(packings)(
    'rows of %s of any width come back, and what they cannot hold is the largest that they can',
    packing => {
      for (const dim of [1, 3, 31, 33, 40, 64, 80, 130]) {
        const x = noiseTensor([2, 3, 2, dim], dim)
        const packed = packRows(x, packing)
        const unpacked = unpackRows(packed, packing, dim)
        expect(unpacked.shape).toEqual(x.shape)
        const [ours, theirs] = [unpacked.dataSync(), x.dataSync()]
        for (const [i, value] of theirs.entries()) expect(Math.abs(ours[i]! - value)).toBeLessThan(0.005)
        tf.dispose([x, packed, unpacked])
      }
      const huge = tf.tensor4d([1e9, -1e9, 7], [1, 1, 1, 3])
      const packed = packRows(huge, packing)
      const unpacked = unpackRows(packed, packing, 3)
      const found = unpacked.dataSync()
      expect(found.every(Number.isFinite)).toBe(true)
      expect(found[0]).toBeGreaterThanOrEqual(65504)
      expect(found[1]).toBe(-found[0]!)
      tf.dispose([huge, packed, unpacked])
    },
  )

  const cases: [string, number, AttentionOptions][] = [
    ['one query', 1, { isCausal: true }],
    ['three queries with a window', 3, { isCausal: true, slidingWindow: 7 }],
    ['one query with a cap and a scale', 1, { isCausal: true, softcap: 4, scale: 0.4 }],
    ['many queries', 20, { isCausal: true, slidingWindow: 50 }],
  ]
  describe.each(packings)('attention over %s', packing => {
    test.each(cases)('is that over the numbers that the rows hold: %s', (_, seqLen, options) => {
      for (const dim of [8, 33, 64]) {
        tf.tidy(() => {
          const keyLen = 90
          const [q, k, v] = [seqLen, 100, 100].map((rows, i) => noiseTensor([2, rows, i ? 2 : 6, dim], i + 5)) as [
            tf.Tensor,
            tf.Tensor,
            tf.Tensor,
          ]
          const bias = noiseTensor([1, 6, 1, keyLen], 9)
          const keyPaddingMask = tf.tensor2d(
            [0, 1].flatMap(row => Array.from({ length: keyLen }, (_, i) => Number(row || i > 40))),
            [2, keyLen],
            'int32',
          )
          for (const more of [{}, { bias }, { keyPaddingMask }]) {
            const all = { ...options, ...more, keyLen }
            const [keys, values] = [packRows(k, packing), packRows(v, packing)]
            const expected = attention(q, unpackRows(keys, packing, dim), unpackRows(values, packing, dim), all)
            expect(packedAttention(q, keys, values, packing, all).dataSync()).toBeAllclose(expected.dataSync())
          }
        })
      }
    })
  })

  test('packed rows are written like others, and wrong ones refused', () => {
    const x = noiseTensor([1, 3, 2, 32], 1)
    const packed = packRows(x, 'q8_0')
    const zeros = tf.zeros([1, 8, 2, 9], 'int32')
    const target = tf.variable(zeros, false)
    writeRows(target, packed, 4)
    expect(Array.from(target.dataSync()).slice(4 * 18, 7 * 18)).toEqual(Array.from(packed.dataSync()))
    expect(() => writeRows(target, x, 0)).toThrow('writeRows')
    expect(() => unpackRows(packed, 'q8_0', 64)).toThrow('unpackRows')
    expect(() => packRows(x, 'q4_0' as 'q8_0')).toThrow(
      'packRows: packing is "q4_0", expected float16 or q8_0. Leave rows of float32 as they are.',
    )
    tf.dispose([x, packed, zeros, target])
  })
})
