import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FileDtype, FloatFileDtype, RawTensor } from '../../src/files/dtypes.ts'
import { serializeSafetensors, writeSafetensors } from '../../src/files/safetensors/write.ts'
import { openSafetensors, readSafetensors } from '../../src/files/safetensors.ts'
import { tf } from '../../src/tf.ts'

const fixtures = fileURLToPath(new URL('../fixtures/files/safetensors/', import.meta.url))
let folder: string
let tensorsBefore: number
beforeAll(async () => {
  await tf.setBackend('cpu')
  tensorsBefore = tf.memory().numTensors
  folder = await mkdtemp(join(tmpdir(), 'heed-safetensors-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
  expect(tf.memory().numTensors).toBe(tensorsBefore)
})

const float32File = join(fixtures, 'model-float32.safetensors')

test('every kind of tensor that PyTorch writes is read as PyTorch converts it', async () => {
  const actual = await readSafetensors(join(fixtures, 'kinds.safetensors'))
  const expected = await readSafetensors(join(fixtures, 'kinds-as-tfjs.safetensors'))
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort())
  for (const [name, tensor] of Object.entries(actual)) {
    const oracle = expected[name]!
    expect([name, tensor.shape, tensor.dtype]).toEqual([name, oracle.shape, oracle.dtype])
    expect([name, tensor.dataSync()]).toEqual([name, oracle.dataSync()])
  }
  tf.dispose([actual, expected])
})

test.each<[FloatFileDtype, string]>([
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
])('tensors written as %s make the same file, byte for byte, as PyTorch', async (dtype, name) => {
  const tensors = await readSafetensors(float32File)
  const path = join(folder, `${name}.safetensors`)
  await writeSafetensors(path, tensors, { dtype })
  const bytes = await readFile(path)
  expect(bytes.equals(await readFile(join(fixtures, `model-${name}.safetensors`)))).toBe(true)
  expect(bytes.equals(await serializeSafetensors(new Map(Object.entries(tensors)), { dtype }))).toBe(true)
  tf.dispose(tensors)
})

test('raw tensors of every kind, strange names included, are written back byte for byte', async () => {
  const file = await openSafetensors(join(fixtures, 'kinds.safetensors'))
  const raw = new Map<string, RawTensor>()
  for (const name of file.tensors.keys()) raw.set(name, await file.readRaw(name))
  const path = join(folder, 'copied.safetensors')
  await writeSafetensors(path, raw, { metadata: file.metadata })
  expect((await readFile(path)).equals(await readFile(join(fixtures, 'kinds.safetensors')))).toBe(true)
  await file.close()
})

test('bytes can be fetched when their turn to be written comes', async () => {
  const order: string[] = []
  const lazy = (name: string, dtype: FileDtype, byteLength: number) => ({
    dtype,
    shape: [1],
    bytes: async () => {
      order.push(name)
      return new Uint8Array(byteLength)
    },
  })
  const bytes = await serializeSafetensors({ a: lazy('a', 'I8', 1), c: lazy('c', 'F32', 4), b: lazy('b', 'F32', 4) })
  expect(order).toEqual(['b', 'c', 'a'])
  const file = await openSafetensors(bytes)
  expect([...file.tensors.keys()]).toEqual(['b', 'c', 'a'])
})

test('only the named tensors are read, and metadata is kept', async () => {
  const tensors = await readSafetensors(float32File, { names: ['mask', 'position_ids', 'mask'] })
  expect(Object.keys(tensors)).toEqual(['mask', 'position_ids'])
  expect(Array.from(tensors.mask!.dataSync())).toEqual([1, 0])
  tf.dispose(tensors)
  const file = await openSafetensors(float32File)
  expect(file.metadata).toEqual({ format: 'pt' })
  await file.close()
})

test('a name that is not there leaves no tensor behind', async () => {
  const before = tf.memory().numTensors
  await expect(readSafetensors(float32File, { names: ['mask', 'nose'] })).rejects.toMatchObject({
    code: 'HEED_ARGUMENT_INVALID',
    message:
      `${float32File}: there is no tensor "nose" among its 8, which begin "lm_head.weight", ` +
      '"model.embed_tokens.weight", "model.layers.0.mlp.up_proj.bias".',
  })
  expect(tf.memory().numTensors).toBe(before)
})

test('what is written is read back equal, whatever the names, shapes and metadata', async () => {
  const name = fc.string({ unit: 'grapheme' }).filter(name => name !== '__metadata__' && !/\p{Surrogate}/u.test(name))
  const tensor = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }).chain(shape =>
    fc.record({
      shape: fc.constant(shape),
      values: fc.float32Array({
        minLength: shape.reduce((a, b) => a * b, 1),
        maxLength: shape.reduce((a, b) => a * b, 1),
      }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, tensor), fc.dictionary(name, name), async (records, metadata) => {
      const tensors = Object.fromEntries(
        Object.entries(records).map(([key, { shape, values }]) => [key, tf.tensor(values, shape, 'float32')]),
      )
      const bytes = await serializeSafetensors(tensors, { metadata })
      const file = await openSafetensors(bytes)
      expect(file.metadata).toEqual(metadata)
      const back = await readSafetensors(bytes)
      expect(Object.keys(back).sort()).toEqual(Object.keys(records).sort())
      for (const [key, { shape, values }] of Object.entries(records)) {
        expect(back[key]!.shape).toEqual(shape)
        expect(back[key]!.dataSync()).toEqual(values)
      }
      tf.dispose([tensors, back])
    }),
    { numRuns: 50 },
  )
})

test('tensors that cannot be written are refused and leave no file', async () => {
  const path = join(folder, 'refused', 'x.safetensors')
  const large = tf.tensor1d([1, 65520])
  const complex = tf.complex([1], [2])
  const disposed = tf.scalar(1)
  disposed.dispose()
  const refused = (
    tensors: Parameters<typeof writeSafetensors>[1],
    options: Parameters<typeof writeSafetensors>[2],
    error: object,
  ) => expect(writeSafetensors(path, tensors, options)).rejects.toMatchObject(error)
  await refused(
    { x: large },
    { dtype: 'F16' },
    {
      code: 'HEED_NUMERIC',
      message: `${path}: tensor "x": element 1 is 65520, expected a value within the range of F16. Write it as F32.`,
    },
  )
  await refused(
    { x: complex },
    {},
    {
      code: 'HEED_DTYPE_UNSUPPORTED',
      message: `${path}: tensor "x": dtype is complex64, expected float32, int32 or bool.`,
    },
  )
  await refused(
    { x: disposed },
    {},
    { code: 'HEED_DISPOSED', message: `${path}: tensor "x": the tensor was disposed.` },
  )
  await refused(
    { x: { dtype: 'I64', shape: [2], bytes: new Uint8Array(8) } },
    {},
    {
      code: 'HEED_SHAPE_MISMATCH',
      message: `${path}: tensor "x": it has 8 bytes, expected 16 for I64 of shape [2].`,
    },
  )
  await refused(
    { '\ud800': large },
    {},
    {
      code: 'HEED_ARGUMENT_INVALID',
      message: `${path}: tensor name is "\\ud800", expected well-formed Unicode other than "__metadata__". Rename it.`,
    },
  )
  await refused(
    { x: large },
    { metadata: { a: 1 as unknown as string } },
    {
      code: 'HEED_ARGUMENT_INVALID',
      message: `${path}: metadata "a" is 1, expected a string.`,
    },
  )
  expect(await readdir(join(folder, 'refused'))).toEqual([])
  tf.dispose([large, complex])
})

test('values that a tensor cannot hold are refused', async () => {
  const read = async (dtype: FileDtype, bytes: Uint8Array, shape: number[]) =>
    readSafetensors(await serializeSafetensors({ x: { dtype, shape, bytes } }))
  const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer)
  const int32Rule = 'values that an int32 tensor holds (-2147483648 to 2147483647).'
  for (const [dtype, data, shown] of [
    ['I64', BigInt64Array.of(5n, -2147483649n), '-2147483649'],
    ['I64', BigInt64Array.of(5n, 2n ** 62n), '4611686018427387904'],
    ['U64', BigUint64Array.of(5n, 2n ** 64n - 1n), '18446744073709551615'],
    ['U64', BigUint64Array.of(5n, 2n ** 31n), '2147483648'],
    ['U32', Uint32Array.of(5, 2 ** 31), '2147483648'],
  ] as const) {
    await expect(read(dtype, bytes(data), [2])).rejects.toMatchObject({
      code: 'HEED_FILE_INVALID',
      message: `buffer: tensor "x": element 1 is ${shown}, expected ${dtype} ${int32Rule}`,
    })
  }
  await expect(read('F64', bytes(Float64Array.of(1, -1e39)), [2])).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message:
      'buffer: tensor "x": element 1 is -1e+39, expected F64 values within the range of float32 (3.4028234663852886e+38).',
  })
  await expect(read('BOOL', Uint8Array.of(1, 2), [2])).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'buffer: tensor "x": element 1 is 2, expected BOOL values 0 or 1.',
  })
  await expect(read('F8_E4M3', Uint8Array.of(1, 2), [2])).rejects.toMatchObject({
    code: 'HEED_DTYPE_UNSUPPORTED',
    message:
      'buffer: tensor "x": dtype is F8_E4M3, expected one that becomes a tensor (F64, F32, F16, BF16, integers, BOOL). ' +
      'Read its bytes instead.',
  })
})
