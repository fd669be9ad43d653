import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { dequantizeGgml, dequantizeGgmlInTurns } from '../../src/files/gguf/dequantize.ts'
import { quantizeGgml } from '../../src/files/gguf/quantize.ts'
import type { GgufField, GgufType } from '../../src/files/gguf/types.ts'
import { type WriteGgufOptions, writeGguf } from '../../src/files/gguf/write.ts'
import { openGguf } from '../../src/files/gguf.ts'
import { readSafetensors } from '../../src/files/safetensors.ts'
import { tf } from '../../src/tf.ts'

const fixtures = fileURLToPath(new URL('../fixtures/files/gguf/', import.meta.url))
const blocks = join(fixtures, 'blocks.gguf')
let folder: string
let tensorsBefore: number
beforeAll(async () => {
  await tf.setBackend('cpu')
  tensorsBefore = tf.memory().numTensors
  folder = await mkdtemp(join(tmpdir(), 'heed-gguf-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
  expect(tf.memory().numTensors).toBe(tensorsBefore)
})

test.each(['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K', 'IQ4_NL'])(
  'blocks of %s are dequantized, bit for bit, as by gguf-py',
  async name => {
    const file = await openGguf(blocks)
    const oracle = await readSafetensors(join(fixtures, 'blocks-dequantized.safetensors'), { names: [name] })
    expect(file.tensors.get(name)).toMatchObject({ type: name, shape: [2, 512] })
    expect(await file.dequantize(name)).toEqual(oracle[name]!.dataSync())
    await file.close()
    tf.dispose(oracle)
  },
)

test('metadata of every type keeps its value and its type', async () => {
  const file = await openGguf(blocks)
  expect(Object.fromEntries(file.metadata)).toEqual({
    'general.architecture': { type: 'string', value: 'llama' },
    'test.uint8': { type: 'uint8', value: 200 },
    'test.int8': { type: 'int8', value: -100 },
    'test.uint16': { type: 'uint16', value: 60000 },
    'test.int16': { type: 'int16', value: -30000 },
    'test.uint32': { type: 'uint32', value: 4_000_000_000 },
    'test.int32': { type: 'int32', value: -2_000_000_000 },
    'test.float32': { type: 'float32', value: Math.fround(1e-5) },
    'test.float64': { type: 'float64', value: 0.1 },
    'test.uint64': { type: 'uint64', value: 2n ** 64n - 1n },
    'test.int64': { type: 'int64', value: -5 },
    'test.bool': { type: 'bool', value: true },
    'test.string': { type: 'string', value: 'naïve 🤗' },
    'test.tokens': { type: 'string', value: ['<s>', '▁the', ''] },
    'test.scores': { type: 'float32', value: [0.5, -1] },
    'test.integers': { type: 'int32', value: [1, -2, 3] },
    'test.bools': { type: 'bool', value: [true, false] },
  })
  await file.close()
})

test('a file is written back byte for byte from what was read of it', async () => {
  const file = await openGguf(blocks)
  const tensors = new Map(
    [...file.tensors].map(([name, { type, shape }]) => [name, { type, shape, bytes: () => file.readRaw(name) }]),
  )
  const path = join(folder, 'copied.gguf')
  await writeGguf(path, { metadata: file.metadata, tensors })
  expect((await readFile(path)).equals(await readFile(blocks))).toBe(true)
  await file.close()
})

test('each tensor can have its own type, and integers stay integers', async () => {
  const path = join(folder, 'mixed.gguf')
  const tensors = new Map([
    ['norm', tf.ones([32])],
    ['weight', tf.tidy(() => tf.range(0, 64).reshape([2, 32]))],
    ['ids', tf.tensor1d([1, -2], 'int32')],
  ])
  const metadata = new Map<string, GgufField>([['general.alignment', { type: 'uint32', value: 64 }]])
  await writeGguf(path, { metadata, tensors, type: (_, shape) => (shape.length > 1 ? 'Q8_0' : 'F32') })
  const file = await openGguf(path)
  expect([...file.tensors.values()].map(({ type, byteOffset }) => [type, byteOffset % 64])).toEqual([
    ['F32', 0],
    ['Q8_0', 0],
    ['I32', 0],
  ])
  const ids = await file.read('ids')
  expect([ids.dtype, Array.from(ids.dataSync())]).toEqual(['int32', [1, -2]])
  await file.close()
  ids.dispose()
  tf.dispose([...tensors.values()])
})

test('what a type or the format cannot hold is refused and leaves no file', async () => {
  const path = join(folder, 'refused', 'x.gguf')
  const refused = (options: Partial<WriteGgufOptions>, code: string, message: string) =>
    expect(writeGguf(path, { metadata: new Map(), tensors: new Map(), ...options })).rejects.toMatchObject({
      code,
      message,
    })
  const x = (tensor: tf.Tensor) => new Map([['x', tensor]])
  const nan = tf.tensor1d([...Array(31).fill(0), Number.NaN])
  const large = tf.fill([32], 1e8)
  const odd = tf.ones([2, 33])
  const deep = tf.ones([1, 1, 1, 1, 1])
  const bool = tf.tensor1d([true])
  const disposed = tf.scalar(1)
  disposed.dispose()
  const where = `${path}: tensor "x"`
  await refused(
    { tensors: x(nan), type: 'Q8_0' },
    'HEED_NUMERIC',
    `${where}: element 31 is NaN, expected finite values for Q8_0.`,
  )
  await refused(
    { tensors: x(large), type: 'Q4_0' },
    'HEED_NUMERIC',
    `${where}: the scale of elements 0 to 31 is -12500000, expected one within the range of float16 for Q4_0. Write it as F32.`,
  )
  await refused(
    { tensors: x(odd), type: 'Q4_0' },
    'HEED_SHAPE_MISMATCH',
    `${where}: shape is [2,33], expected at most 4 axes, the last a multiple of 32 for Q4_0.`,
  )
  await refused(
    { tensors: x(deep) },
    'HEED_SHAPE_MISMATCH',
    `${where}: shape is [1,1,1,1,1], expected at most 4 axes, the last a multiple of 1 for F32.`,
  )
  await refused({ tensors: x(bool) }, 'HEED_DTYPE_UNSUPPORTED', `${where}: dtype is bool, expected float32 or int32.`)
  await refused({ tensors: x(disposed) }, 'HEED_DISPOSED', `${where}: the tensor was disposed.`)
  await refused(
    { tensors: new Map([['x', { type: 'F32' as const, shape: [2], bytes: new Uint8Array(4) }]]) },
    'HEED_SHAPE_MISMATCH',
    `${where}: it has 4 bytes, expected 8 for F32 of shape [2].`,
  )
  const fields: [GgufType, GgufField['value'], string][] = [
    ['uint8', 256, '256'],
    ['int32', -(2 ** 31) - 1, '-2147483649'],
    ['uint64', -1n, '-1'],
    ['int64', 2 ** 53, '9007199254740992'],
    ['uint32', 0.5, '0.5'],
    ['string', 7, '7'],
    ['bool', 1, '1'],
    ['float32', '1', '"1"'],
    ['uint16', [1, 65536], '65536'],
  ]
  for (const [type, value, shown] of fields) {
    await refused(
      { metadata: new Map([['a.b', { type, value }]]) },
      'HEED_ARGUMENT_INVALID',
      `${path}: metadata "a.b" is ${shown}, expected a value of type ${type}.`,
    )
  }
  await refused(
    { metadata: new Map([['general.alignment', { type: 'uint32', value: 24 }]]) },
    'HEED_ARGUMENT_INVALID',
    `${path}: metadata "general.alignment" is 24, expected a power of two.`,
  )
  expect(existsSync(join(folder, 'refused')) ? await readdir(join(folder, 'refused')) : []).toEqual([])
  tf.dispose([nan, large, odd, deep, bool])
})

test.each(['F16', 'Q8_0', 'Q4_K'] as const)('%s is read in turns, of which others have some', async type => {
  let now = 0
  vi.spyOn(performance, 'now').mockImplementation(() => (now += 100))
  const turns = vi.spyOn(globalThis, 'setImmediate')
  const bytes = quantizeGgml(
    Float32Array.from({ length: 2 ** 15 + 256 }, (_, i) => Math.sin(i)),
    type,
    'x',
  )
  expect(await dequantizeGgmlInTurns(bytes, type, 'x')).toEqual(dequantizeGgml(bytes, type, 'x'))
  expect(turns).toHaveBeenCalledTimes(3)
  vi.restoreAllMocks()
})

test('a type without a dequantizer is listed, copied, and refused by name when dequantized', async () => {
  const path = join(folder, 'iq1.gguf')
  const bytes = new Uint8Array(50)
  await writeGguf(path, { metadata: new Map(), tensors: new Map([['x', { type: 'IQ1_S', shape: [256], bytes }]]) })
  const file = await openGguf(path)
  expect(await file.readRaw('x')).toEqual(bytes)
  await expect(file.dequantize('x')).rejects.toMatchObject({
    code: 'HEED_DTYPE_UNSUPPORTED',
    message:
      `${path}: tensor "x": type is IQ1_S, expected one of F32, F16, BF16, F64, I8, I16, I32, I64, Q4_0, Q4_1, Q5_0, Q5_1, ` +
      'Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL. Convert the model to one of these.',
  })
  await file.close()
})

const vocabulary = fileURLToPath(
  new URL('../../../../../shared/data/B/ggerganov+llama.cpp/models/ggml-vocab-deepseek-llm.gguf', import.meta.url),
)
test.skipIf(!existsSync(vocabulary))(
  "llama.cpp's own vocabulary file opens (skipped where ../shared is absent)",
  async () => {
    const file = await openGguf(vocabulary)
    expect(file.metadata.get('general.architecture')).toEqual({ type: 'string', value: 'llama' })
    expect(file.metadata.get('tokenizer.ggml.tokens')!.value).toHaveLength(102400)
    await file.close()
  },
)
