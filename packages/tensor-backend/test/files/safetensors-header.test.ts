import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeedError } from '../../src/errors.ts'
import { openSafetensors, readSafetensors } from '../../src/files/safetensors.ts'
import { tf } from '../../src/tf.ts'

const valid = readFileSync(
  fileURLToPath(new URL('../fixtures/files/safetensors/model-float32.safetensors', import.meta.url)),
)

function fileOf(header: string | Uint8Array, dataBytes = 0, claimedLength?: bigint): Uint8Array {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header
  const bytes = new Uint8Array(8 + json.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, claimedLength ?? BigInt(json.length), true)
  bytes.set(json, 8)
  return bytes
}

const f32 = (begin: number, end: number, shape = `[${(end - begin) / 4}]`) =>
  `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`

const dtypes =
  'U64, I64, F64, C64, F32, U32, I32, BF16, F16, U16, I16, F8_E5M2FNUZ, F8_E4M3FNUZ, F8_E8M0, F8_E4M3, F8_E5M2, ' +
  'I8, U8, F6_E3M2, F6_E2M3, F4, BOOL'

const lies: [title: string, file: Uint8Array, message: string][] = [
  [
    'an empty file',
    new Uint8Array(0),
    'buffer: size is 0 bytes, expected at least 8. It is truncated or not a safetensors file.',
  ],
  [
    'a header of 1 GB',
    fileOf('{}', 0, 1_000_000_000n),
    'buffer: header length is 1000000000, expected at most 100000000. It is damaged or not a safetensors file.',
  ],
  [
    'a header length of 2^64 - 1',
    fileOf('{}', 0, 2n ** 64n - 1n),
    'buffer: header length is 18446744073709551615, expected at most 100000000. It is damaged or not a safetensors file.',
  ],
  [
    'a header longer than the file',
    fileOf('{}', 0, 3n),
    'buffer: header length is 3, expected at most 2, the bytes that follow. The file is truncated: copy or download it again.',
  ],
  [
    'a header that is not UTF-8',
    fileOf(Uint8Array.of(0x7b, 0xff, 0x7d)),
    'buffer: header: text is not valid UTF-8. The file is damaged or of another format.',
  ],
  [
    'a header that is not JSON',
    fileOf('{"a":'),
    'buffer: header: text is "{\\"a\\":", expected JSON. The file is damaged.',
  ],
  ['a header that is no object', fileOf('[1]'), 'buffer: header is [1], expected an object.'],
  [
    'a tensor twice',
    fileOf(`{"a":${f32(0, 4)},"\\u0061":${f32(4, 8)}}`, 8),
    'buffer: header: key "a" appears twice, expected each key once.',
  ],
  [
    'an entry that is no object',
    fileOf('{"a":3}'),
    'buffer: tensor "a": entry is 3, expected an object with dtype, shape, data_offsets.',
  ],
  [
    'an unknown dtype',
    fileOf('{"a":{"dtype":"F31","shape":[],"data_offsets":[0,4]}}', 4),
    `buffer: tensor "a": dtype is "F31", expected one of ${dtypes}.`,
  ],
  [
    'a dtype named as a method of every object',
    fileOf('{"a":{"dtype":"constructor","shape":[],"data_offsets":[0,4]}}', 4),
    `buffer: tensor "a": dtype is "constructor", expected one of ${dtypes}.`,
  ],
  [
    'a negative size',
    fileOf(`{"a":${f32(0, 4, '[-1]')}}`, 4),
    'buffer: tensor "a": shape is [-1], expected at most 64 sizes whose product, in bits, stays below 2^53.',
  ],
  [
    'a shape whose product overflows',
    fileOf(`{"a":${f32(0, 4, '[4294967296,4294967296]')}}`, 4),
    'buffer: tensor "a": shape is [4294967296,4294967296], expected at most 64 sizes whose product, in bits, stays below 2^53.',
  ],
  [
    'a shape of too many axes',
    fileOf(`{"a":${f32(0, 4, `[${Array(65).fill(1)}]`)}}`, 4),
    `buffer: tensor "a": shape is [${`${Array(65).fill(1)}`.slice(0, 79)}..., expected at most 64 sizes whose product, in bits, stays below 2^53.`,
  ],
  [
    'offsets that run backwards',
    fileOf(`{"a":${f32(4, 0, '[1]')}}`, 4),
    'buffer: tensor "a": data_offsets is [4,0], expected [begin, end] with 0 <= begin <= end.',
  ],
  [
    'offsets that are fractions',
    fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0.5,4.5]}}', 8),
    'buffer: tensor "a": data_offsets is [0.5,4.5], expected [begin, end] with 0 <= begin <= end.',
  ],
  [
    'fewer bytes than the shape needs',
    fileOf(`{"a":${f32(0, 4, '[2,3]')}}`, 4),
    'buffer: tensor "a": data_offsets is [0,4], expected 24 bytes for F32 of shape [2,3].',
  ],
  [
    'part of a byte',
    fileOf('{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}', 2),
    'buffer: tensor "a": data_offsets is [0,2], expected 1.5 bytes for F4 of shape [3].',
  ],
  [
    'sizes beyond the file',
    fileOf(`{"a":${f32(0, 4_000_000_000)}}`, 4),
    'buffer: tensor "a": its bytes end at 4000000080 of the file, expected at most 84, its size. ' +
      'The file is truncated: copy or download it again.',
  ],
  [
    'overlapping tensors',
    fileOf(`{"a":${f32(0, 8)},"b":${f32(4, 12)}}`, 12),
    'buffer: tensor "b": data_offsets begin at 4, expected 8, where tensor "a" ends: an overlap is not allowed.',
  ],
  [
    'two tensors over the same bytes',
    fileOf(`{"a":${f32(0, 4)},"b":${f32(0, 4)}}`, 4),
    'buffer: tensor "b": data_offsets begin at 0, expected 4, where tensor "a" ends: an overlap is not allowed.',
  ],
  [
    'a gap between tensors',
    fileOf(`{"a":${f32(0, 4)},"b":${f32(8, 12)}}`, 12),
    'buffer: tensor "b": data_offsets begin at 8, expected 4, where tensor "a" ends: a gap is not allowed.',
  ],
  [
    'a gap before the first tensor',
    fileOf(`{"a":${f32(4, 8)}}`, 8),
    'buffer: tensor "a": data_offsets begin at 4, expected 0, where the header ends: a gap is not allowed.',
  ],
  [
    'bytes after the last tensor',
    fileOf(`{"a":${f32(0, 4)}}`, 5),
    'buffer: size is 67 bytes, expected 66, where tensor "a" ends. It is damaged.',
  ],
  [
    'metadata that is no object',
    fileOf('{"__metadata__":[]}'),
    'buffer: __metadata__ is [], expected an object of strings.',
  ],
  [
    'metadata that is no string',
    fileOf('{"__metadata__":{"a":1}}'),
    'buffer: __metadata__ "a" is 1, expected a string.',
  ],
]

test.each(lies)('%s is refused', async (_, file, message) => {
  await expect(openSafetensors(file)).rejects.toMatchObject({ code: 'HEED_FILE_INVALID', message })
})

test('a tensor named __proto__ is a tensor like any other', async () => {
  const tensors = await readSafetensors(fileOf(`{"__proto__":${f32(0, 4)}}`, 4))
  expect(Object.entries(tensors).map(([name, tensor]) => [name, tensor.shape])).toEqual([['__proto__', [1]]])
  tf.dispose(Object.values(tensors))
})

test('a file cut anywhere is refused', async () => {
  for (let length = 0; length < valid.length; length += 7) {
    await expect(openSafetensors(valid.subarray(0, length))).rejects.toMatchObject({ code: 'HEED_FILE_INVALID' })
  }
})

/** Reads everything: right tensors or a HeedError, never another exception and never a tensor left behind. */
async function readsOrRefuses(bytes: Uint8Array): Promise<void> {
  const before = tf.memory().numTensors
  try {
    const tensors = await readSafetensors(bytes)
    const size = Object.values(tensors).reduce((sum, tensor) => sum + tensor.size, 0)
    expect(size).toBeLessThanOrEqual(bytes.length)
    for (const tensor of Object.values(tensors)) expect(tensor.dataSync().length).toBe(tensor.size)
    tf.dispose(Object.values(tensors))
  } catch (error) {
    expect(error).toBeInstanceOf(HeedError)
    expect(['HEED_FILE_INVALID', 'HEED_DTYPE_UNSUPPORTED']).toContain((error as HeedError).code)
  }
  expect(tf.memory().numTensors).toBe(before)
}

test('random bytes, and random JSON as a header, never crash the reader', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), readsOrRefuses), { numRuns: 300 })
  await fc.assert(
    fc.asyncProperty(fc.json(), fc.nat(64), (header, dataBytes) => readsOrRefuses(fileOf(header, dataBytes))),
    { numRuns: 300 },
  )
})

test('a valid file with some bytes changed is read or refused', async () => {
  const change = fc.tuple(fc.nat(valid.length - 1), fc.nat(255))
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async changes => {
      const bytes = new Uint8Array(valid)
      for (const [at, value] of changes) bytes[at] = value
      await readsOrRefuses(bytes)
    }),
    { numRuns: 500 },
  )
})

test('a header of plausible parts in wrong combinations is read or refused', async () => {
  const size = fc.oneof(fc.nat(8), fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53, 1e300, null))
  const entry = fc.record(
    {
      dtype: fc.constantFrom('F32', 'F16', 'I64', 'BOOL', 'F4', 'F6_E2M3', 'X', null),
      shape: fc.oneof(fc.array(size, { maxLength: 3 }), size),
      data_offsets: fc.array(size, { maxLength: 3 }),
    },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom('a', 'b', '__metadata__'), entry), fc.nat(32), (header, dataBytes) =>
      readsOrRefuses(fileOf(JSON.stringify(header), dataBytes)),
    ),
    { numRuns: 1000 },
  )
})
