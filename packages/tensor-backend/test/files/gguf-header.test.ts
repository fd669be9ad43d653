import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeedError } from '../../src/errors.ts'
import { openGguf } from '../../src/files/gguf.ts'
import { tf } from '../../src/tf.ts'

const valid = new Uint8Array(
  readFileSync(fileURLToPath(new URL('../fixtures/files/gguf/blocks.gguf', import.meta.url))),
)

const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer)
const u64 = (value: number | bigint) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer)
const text = (value: string | Uint8Array) => Buffer.concat([u64(Buffer.from(value).length), Buffer.from(value)])
const file = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat([Buffer.from('GGUF'), u32(3), ...parts]))
const counts = (tensors: number | bigint, fields: number | bigint) => Buffer.concat([u64(tensors), u64(fields)])
const zeros = (length: number) => Buffer.alloc(length)
/** A tensor entry: sizes in the order of the file, fastest first. */
const tensor = (name: string, sizes: (number | bigint)[], type: number, offset: number | bigint) =>
  Buffer.concat([text(name), u32(sizes.length), ...sizes.map(u64), u32(type), u64(offset)])
const field = (key: string, type: number, ...value: Uint8Array[]) => Buffer.concat([text(key), u32(type), ...value])

const truncated = 'The file is truncated or damaged: copy or download it again.'
const types =
  '0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 34, 35, 39'

const lies: [title: string, bytes: Uint8Array, message: string][] = [
  [
    'an empty file',
    new Uint8Array(0),
    `the magic number needs 4 bytes at 0, expected them within the file's 0. ${truncated}`,
  ],
  [
    'another format',
    new Uint8Array(Buffer.from('GGML....')),
    'it does not begin with "GGUF". It is of another format.',
  ],
  [
    'version 1',
    new Uint8Array(Buffer.concat([Buffer.from('GGUF'), u32(1), zeros(16)])),
    'GGUF version is 1, expected 2 or 3, little-endian. Convert the model with a current tool.',
  ],
  [
    'a big-endian file',
    new Uint8Array(Buffer.concat([Buffer.from('GGUF'), Buffer.of(0, 0, 0, 3), zeros(16)])),
    'GGUF version is 50331648, expected 2 or 3, little-endian. Convert the model with a current tool.',
  ],
  [
    'a tensor count of 2^64 - 1',
    file(counts(2n ** 64n - 1n, 0)),
    'tensor count is 18446744073709552000, expected at most 0, for which the file has bytes.',
  ],
  [
    'a metadata count beyond the file',
    file(counts(0, 5), zeros(50)),
    'metadata count is 5, expected at most 3, for which the file has bytes.',
  ],
  [
    'a key longer than the file',
    file(counts(0, 1), u64(2n ** 62n), zeros(8)),
    `metadata name 0 needs 4611686018427388000 bytes at 32, expected them within the file's 40. ${truncated}`,
  ],
  [
    'a key that is not UTF-8',
    file(counts(0, 1), text(Uint8Array.of(0xff)), u32(0), zeros(8)),
    'metadata name 0 is not valid UTF-8. The file is damaged.',
  ],
  [
    'a key twice',
    file(counts(0, 2), field('a', 0, Buffer.of(1)), field('a', 0, Buffer.of(1))),
    'metadata "a" appears twice, expected each name once.',
  ],
  [
    'an unknown value type',
    file(counts(0, 1), field('a', 13), zeros(8)),
    'metadata "a" type is 13, expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.',
  ],
  [
    'an array of arrays',
    file(counts(0, 1), field('a', 9, u32(9), u64(1)), zeros(8)),
    'metadata "a" item type is 9, expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12.',
  ],
  [
    'an array longer than the file',
    file(counts(0, 1), field('a', 9, u32(4), u64(2 ** 40)), zeros(8)),
    'metadata "a" length is 1099511627776, expected at most 2, for which the file has bytes.',
  ],
  ['a bool of 2', file(counts(0, 1), field('a', 7, Buffer.of(2))), 'metadata "a" is 2, expected a bool of 0 or 1.'],
  [
    'a number beyond the end',
    file(counts(0, 1), field('abcd', 10)),
    `metadata "abcd" needs 8 bytes at 40, expected them within the file's 40. ${truncated}`,
  ],
  [
    'an alignment of 24',
    file(counts(0, 1), field('general.alignment', 4, u32(24))),
    'metadata "general.alignment" is "24" of type uint32, expected a power of two of type uint32.',
  ],
  [
    'an alignment of 0',
    file(counts(0, 1), field('general.alignment', 4, u32(0))),
    'metadata "general.alignment" is "0" of type uint32, expected a power of two of type uint32.',
  ],
  [
    'an alignment that is text',
    file(counts(0, 1), field('general.alignment', 8, text('32'))),
    'metadata "general.alignment" is "32" of type string, expected a power of two of type uint32.',
  ],
  [
    'a tensor of 5 axes',
    file(counts(1, 0), tensor('x', [1, 1, 1, 1, 1], 0, 0), zeros(64)),
    'tensor "x" has 5 axes, expected at most 4.',
  ],
  [
    'an unknown tensor type',
    file(counts(1, 0), tensor('x', [1], 99, 0), zeros(64)),
    `tensor "x" type is 99, expected one of ${types}.`,
  ],
  [
    'a shape whose product overflows',
    file(counts(1, 0), tensor('x', [2n ** 40n, 2n ** 40n], 0, 0), zeros(64)),
    'tensor "x" shape is [1099511627776,1099511627776], expected sizes whose product stays below 2^53.',
  ],
  [
    'a size of 2^64 - 1',
    file(counts(1, 0), tensor('x', [2n ** 64n - 1n], 0, 0), zeros(64)),
    'tensor "x" shape is [18446744073709552000], expected sizes whose product stays below 2^53.',
  ],
  [
    'a row that is no whole block',
    file(counts(1, 0), tensor('x', [33, 2], 8, 0), zeros(64)),
    'tensor "x" shape is [2,33], expected a last size that is a multiple of 32 for Q8_0.',
  ],
  [
    'a tensor twice',
    file(counts(2, 0), tensor('x', [1], 0, 0), tensor('x', [1], 0, 32), zeros(64)),
    'tensor "x" appears twice, expected each name once.',
  ],
  [
    'overlapping tensors',
    file(counts(2, 0), tensor('x', [1], 0, 0), tensor('y', [1], 0, 0), zeros(64)),
    'tensor "y" offset is 0, expected 32, the first aligned byte behind the tensor before it.',
  ],
  [
    'an offset of 2^64 - 1',
    file(counts(1, 0), tensor('x', [1], 0, 2n ** 64n - 1n), zeros(64)),
    'tensor "x" offset is 18446744073709552000, expected 0, the first aligned byte behind the tensor before it.',
  ],
  [
    'a tensor beyond the end',
    file(counts(1, 0), tensor('x', [1000], 0, 0), zeros(64)),
    'tensor "x" ends at byte 4064, expected at most 121, the size of the file. The file is truncated: copy or download it again.',
  ],
]

test.each(lies)('%s is refused', async (_, bytes, message) => {
  await expect(openGguf(bytes)).rejects.toMatchObject({ code: 'HEED_FILE_INVALID', message: `buffer: ${message}` })
})

test('a header longer than the part read first is read on', async () => {
  const words = Array.from({ length: 20000 }, (_, i) => `token ${i} ${'x'.repeat(60)}`)
  const gguf = await openGguf(file(counts(0, 1), field('tokens', 9, u32(8), u64(words.length), ...words.map(text))))
  expect(gguf.metadata.get('tokens')).toEqual({ type: 'string', value: words })
})

test('a header that never ends is given up', async () => {
  const head = file(counts(0, 1), u64(2 ** 40))
  const endless = {
    name: 'endless.gguf',
    byteLength: 2 ** 42,
    async read(_: number, length: number) {
      const bytes = new Uint8Array(length)
      bytes.set(head.subarray(0, length))
      return bytes
    },
    async close() {},
  }
  await expect(openGguf(endless)).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'endless.gguf: the header is longer than 268435456 bytes.',
  })
})

test('a value that is not UTF-8 keeps its readable part', async () => {
  const gguf = await openGguf(file(counts(0, 1), field('a', 8, text(Uint8Array.of(0x61, 0xff)))))
  expect(gguf.metadata.get('a')).toEqual({ type: 'string', value: 'a\ufffd' })
})

/** Opens and dequantizes everything: as many elements as the shape says, or a HeedError; never another exception. */
async function readsOrRefuses(bytes: Uint8Array): Promise<void> {
  try {
    const gguf = await openGguf(bytes)
    for (const [name, { shape }] of gguf.tensors) {
      const tensor = await gguf.read(name)
      expect(tensor.size).toBe(shape.reduce((product, size) => product * size, 1))
      tensor.dispose()
    }
  } catch (error) {
    expect(error).toBeInstanceOf(HeedError)
    expect(['HEED_FILE_INVALID', 'HEED_DTYPE_UNSUPPORTED']).toContain((error as HeedError).code)
  }
}

test('a valid file with some bytes of its header changed is read or refused', async () => {
  const before = tf.memory().numTensors
  const change = fc.tuple(fc.nat(1500), fc.constantFrom(0, 1, 2, 4, 9, 32, 127, 128, 255))
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async changes => {
      const bytes = valid.slice()
      for (const [at, value] of changes) bytes[at] = value
      await readsOrRefuses(bytes)
    }),
    { numRuns: 500 },
  )
  expect(tf.memory().numTensors).toBe(before)
})

test('random bytes behind the magic number never crash the reader', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(3), fc.nat(3), fc.uint8Array({ maxLength: 200 }), (tensors, fields, bytes) =>
      readsOrRefuses(file(counts(tensors, fields), bytes)),
    ),
    { numRuns: 500 },
  )
})

test('a file cut anywhere is refused', async () => {
  for (let length = 0; length < valid.length - 32; length += 61) {
    await expect(openGguf(valid.subarray(0, length))).rejects.toMatchObject({ code: 'HEED_FILE_INVALID' })
  }
})
