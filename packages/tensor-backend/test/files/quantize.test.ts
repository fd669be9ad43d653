import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tf } from '@heed/tensor-backend'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { dequantizeGgml } from '../../src/files/gguf/dequantize.ts'
import {
  type GgmlFloatType,
  quantizeGgml,
  quantizeGgmlInTurns,
  quantizeTensorInTurns,
} from '../../src/files/gguf/quantize.ts'
import { type GgufField, ggmlTypes } from '../../src/files/gguf/types.ts'
import { writeGguf } from '../../src/files/gguf/write.ts'
import { openGguf } from '../../src/files/gguf.ts'
import { readSafetensors } from '../../src/files/safetensors.ts'
import { expectNoLeak, noise, onEachBackendThatReadsAtOnce } from '../ops/conformance.ts'

const fixtures = fileURLToPath(new URL('../fixtures/files/gguf/', import.meta.url))
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-quantize-'))
})
afterAll(() => rm(folder, { recursive: true }))

const blockTypes = ['Q8_0', 'Q4_0', 'Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K'] as const

function dequantizeBlock(bytes: Uint8Array, type: 'Q8_0' | 'Q4_0'): number[] {
  const half = bytes[0]! | (bytes[1]! << 8)
  const exponent = (half >> 10) & 31
  const magnitude = exponent ? (1024 + (half & 1023)) * 2 ** (exponent - 25) : (half & 1023) * 2 ** -24
  const d = half & 0x8000 ? -magnitude : magnitude
  const quants = [...bytes.subarray(2)]
  if (type === 'Q8_0') return quants.map(q => d * ((q << 24) >> 24))
  return [...quants.map(q => d * ((q & 15) - 8)), ...quants.map(q => d * ((q >> 4) - 8))]
}

/** Numbers like those of trained matrices: most are small, a few large, some groups shifted. */
const weights = Float32Array.from({ length: 16 * 256 }, (_, i) => {
  const uniform = ((i * 7919) % 4093) / 4093 - 0.5
  return 0.1 * uniform ** 3 + 0.02 * uniform + (i % 512 < 64 ? 0.005 : 0)
})

function relativeError(type: GgmlFloatType, values: Float32Array): number {
  const back = dequantizeGgml(quantizeGgml(values, type, 'x'), type, 'x')
  const squares = (of: (i: number) => number) => values.reduce((sum, _, i) => sum + of(i) ** 2, 0)
  return Math.sqrt(squares(i => back[i]! - values[i]!) / squares(i => values[i]!))
}

/** Numbers by their place and two random ones from -1 to 1. */
const numbers: Record<string, (i: number, u: number, v: number) => number> = {
  weights: (_, u, v) => 0.02 * u * v,
  'few large': (_, u, v) => (v > 0.95 ? 5 * u : 0.01 * u),
  positive: (_, u) => u + 1,
  negative: (_, u) => u - 1,
  zeros: () => 0,
  'zeros of either sign': i => (i % 2 ? -0 : 0),
  'a constant': () => 0.3,
  'a negative constant': () => -0.3,
  'one among zeros': i => (i % 256 === 77 ? -1 : 0),
  'groups of zeros': (i, u) => (i % 64 < 32 ? 0 : u),
  'whole numbers': (_, u) => Math.round(8 * u),
  'steps of halves': (_, u) => Math.round(15 * u) / 2,
  'a slope': i => i / 256 - 8,
  'a wave': i => 0.1 + 2 * Math.cos(i),
  large: (_, u) => 6e4 * u,
  'scales that are subnormal float16': (_, u) => 1e-6 * u,
  'scales that vanish': (_, u) => 1e-9 * u,
  'of many sizes': (_, u, v) => u * 10 ** (15 * v - 15),
  'nearly subnormal': (_, u) => 1e-37 * u,
  subnormal: (_, u) => 1e-41 * u,
  'the least': (_, u) => 2 ** -149 * Math.round(2 * u),
}

/** The blocks, or what is said against them. */
function quantized(values: Float32Array, type: GgmlFloatType, first = 0): Uint8Array | string {
  try {
    return quantizeGgml(values, type, 'x', first)
  } catch (error) {
    return (error as Error).message
  }
}

/** The same by JavaScript. */
function onCpu<T>(backend: string, compute: () => T): T {
  tf.setBackend('cpu')
  try {
    return compute()
  } finally {
    tf.setBackend(backend)
  }
}

onEachBackendThatReadsAtOnce(backend => {
  expectNoLeak()

  test.each<GgmlFloatType>(['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0'])(
    'weights written as %s make the same file, byte for byte, as by gguf-py',
    async type => {
      const names = ['token_embd.weight', 'blk.0.attn_norm.weight', 'mixed.weight', 'zeros.weight']
      const tensors = await readSafetensors(join(fixtures, 'weights.safetensors'), { names })
      const metadata = new Map<string, GgufField>([
        ['general.architecture', { type: 'string', value: 'llama' }],
        ['llama.block_count', { type: 'uint32', value: 1 }],
        ['tokenizer.ggml.tokens', { type: 'string', value: ['a', 'b'] }],
        ['tokenizer.ggml.scores', { type: 'float32', value: [0.25, -1.5] }],
      ])
      const path = join(folder, `${type}.gguf`)
      await writeGguf(path, { metadata, tensors: new Map(Object.entries(tensors)), type })
      const oracle = await readFile(join(fixtures, `weights-${type.toLowerCase()}.gguf`))
      expect((await readFile(path)).equals(oracle)).toBe(true)
      const file = await openGguf(path)
      const back = await file.read('mixed.weight')
      expect(back.shape).toEqual([2, 3, 32])
      if (type === 'F32') expect(back.dataSync()).toEqual(tensors['mixed.weight']!.dataSync())
      await file.close()
      tf.dispose([tensors, back])
    },
  )

  test.each([
    ['Q8_0', 1 / 127 / 2],
    ['Q4_0', 1 / 8],
  ] as const)('%s keeps each number within %d of the largest of its block', (type, error) => {
    const block = fc.float32Array({ minLength: 32, maxLength: 32, noNaN: true, min: -1000, max: 1000 })
    fc.assert(
      fc.property(block, values => {
        const path = quantizeGgml(values, type, 'x')
        const scale = Math.max(...values.map(Math.abs))
        const dequantized = dequantizeBlock(path, type)
        for (const [i, value] of values.entries()) {
          // The float16 scale itself is off by up to 2^-11, and below 2^-14 by up to 2^-25.
          expect(Math.abs(dequantized[i]! - value)).toBeLessThanOrEqual(scale * (error + 2 ** -10) + 127 * 2 ** -25)
        }
      }),
    )
  })

  test('whole rows of 32 are needed to quantize', () => {
    expect(() => quantizeGgml(new Float32Array(33), 'Q8_0', 'x')).toThrow(
      'x: it has 33 elements, expected a multiple of 32 for Q8_0.',
    )
  })

  test('K-quants hold weights the better the more bits they have, and better than plain blocks of as many', () => {
    const errors = (['Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K'] as const).map(type => relativeError(type, weights))
    for (const [i, most] of [0.32, 0.16, 0.08, 0.04, 0.02].entries()) expect(errors[i]).toBeLessThan(most)
    expect(errors).toEqual([...errors].sort((a, b) => b - a))
    expect(errors[2]!).toBeLessThan(relativeError('Q4_0', weights))
  })

  test.each([
    ['Q2_K', 0.0075],
    ['Q3_K', 0.004],
    ['Q4_K', 0.002],
    ['Q5_K', 0.002],
    ['Q6_K', 0.002],
  ] as const)("%s errs no more than llama.cpp's own test allows (test-quantize-fns.cpp)", (type, most) => {
    const values = Float32Array.from({ length: 4096 }, (_, i) => 0.1 + 2 * Math.cos(i))
    const back = dequantizeGgml(quantizeGgml(values, type, 'x'), type, 'x')
    const squares = values.reduce((sum, value, i) => sum + (back[i]! - value) ** 2, 0)
    expect(Math.sqrt(squares) / values.length).toBeLessThan(most)
  })

  test.each(['Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K'] as const)(
    '%s finds the numbers again that it can hold, and zeros',
    type => {
      const held = dequantizeGgml(quantizeGgml(weights, type, 'x'), type, 'x')
      expect(relativeError(type, held)).toBeLessThan(
        { Q2_K: 0.1, Q3_K: 0.05, Q4_K: 0.02, Q5_K: 0.01, Q6_K: 0.005 }[type],
      )
      expect(dequantizeGgml(quantizeGgml(new Float32Array(256), type, 'x'), type, 'x')).toEqual(new Float32Array(256))
      expect(() => quantizeGgml(new Float32Array(128), type, 'x')).toThrow(
        `x: it has 128 elements, expected a multiple of 256 for ${type}.`,
      )
      expect(() => quantizeGgml(new Float32Array(256).fill(-3e38), type, 'x')).toThrow(
        /^x: the scale of elements 0 to 255 is \S+, expected one within the range of float16 for Q\d_K\. Write it as F32\.$/,
      )
    },
  )

  test.each(['F16', 'Q8_0', 'Q4_K'] as const)('%s is made in turns, of which others have some', async type => {
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => (now += 100))
    const turns = vi.spyOn(globalThis, 'setImmediate')
    const stretch = backend === 'cpu' ? 2 ** 14 : 2 ** 18
    const values = Float32Array.from({ length: 2 * stretch + 256 }, (_, i) => weights[i % weights.length]!)
    const bytes = await quantizeGgmlInTurns(values, type, 'x')
    expect(turns).toHaveBeenCalledTimes(3)
    vi.restoreAllMocks()
    expect(bytes).toEqual(quantizeGgml(values, type, 'x'))
    const tensor = tf.tensor1d(values)
    expect(await quantizeTensorInTurns(tensor, type, 'x')).toEqual(bytes)
    tf.dispose(tensor)

    const strange = 2 * stretch + 9
    values[strange] = -3e38
    const first = strange - (strange % ggmlTypes[type].elements)
    await expect(quantizeGgmlInTurns(values, type, 'x')).rejects.toThrow(
      type === 'F16' ? `x: element ${strange} is ` : `x: the scale of elements ${first} to `,
    )
    values[strange] = Number.NaN
    if (type === 'F16') return
    await expect(quantizeGgmlInTurns(values, type, 'x')).rejects.toThrow(
      `x: element ${strange} is NaN, expected finite`,
    )
  })

  if (backend === 'cpu') return

  test.each(blockTypes)('blocks of %s are those of cpu, bit for bit, of numbers of any kind', type => {
    for (const [kind, number] of Object.entries(numbers)) {
      const uniform = noise(2 * 4096, 5)
      const values = Float32Array.from({ length: 4096 }, (_, i) => number(i, uniform[2 * i]!, uniform[2 * i + 1]!))
      expect(quantized(values, type), kind).toEqual(onCpu(backend, () => quantized(values, type)))
    }
    const bits = fc
      .uint8Array({ minLength: 1024, maxLength: 1024 })
      .map(bytes => new Float32Array(bytes.slice().buffer))
    const floats = fc.float32Array({ minLength: 256, maxLength: 256, min: -65000, max: 65000, noNaN: true })
    fc.assert(
      fc.property(fc.oneof(bits, floats), values => {
        expect(quantized(values, type)).toEqual(onCpu(backend, () => quantized(values, type)))
      }),
    )
  })

  test.each(blockTypes)('%s of more numbers than kernels are given at a time, and of none', type => {
    const values = noise(2 ** 18 + 768, 6)
    expect(quantizeGgml(values, type, 'x')).toEqual(onCpu(backend, () => quantizeGgml(values, type, 'x')))
    expect(quantizeGgml(new Float32Array(0), type, 'x')).toEqual(new Uint8Array(0))
    values[2 ** 18 + 300] = Number.POSITIVE_INFINITY
    expect(quantized(values, type, 7)).toBe(
      `x: element ${2 ** 18 + 307} is Infinity, expected finite values for ${type}.`,
    )
    expect(quantized(values, type, 7)).toBe(onCpu(backend, () => quantized(values, type, 7)))
  })
})
