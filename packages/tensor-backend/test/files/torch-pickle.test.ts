import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { HeedError } from '../../src/errors.ts'
import { openSafetensors } from '../../src/files/safetensors.ts'
import type { TorchTensor } from '../../src/files/torch/state.ts'
import { openTorchCheckpoint } from '../../src/files/torch-pickle.ts'
import { tf } from '../../src/tf.ts'

const fixtures = fileURLToPath(new URL('../fixtures/files/torch/', import.meta.url))
const fixture = (name: string) => new Uint8Array(readFileSync(join(fixtures, name)))
beforeAll(() => tf.setBackend('cpu'))

test.each(['zip.pt', 'legacy.bin'])(
  '%s gives every tensor, strided, shared or expanded, as PyTorch does',
  async name => {
    const file = await openTorchCheckpoint(join(fixtures, name))
    const oracle = await openSafetensors(join(fixtures, 'contents.safetensors'))
    const names = [...oracle.tensors.keys()].filter(tensor => tensor !== 'model.uint16' || name === 'zip.pt')
    expect([...file.tensors.keys()].sort()).toEqual(names.sort())
    for (const tensor of names)
      expect([tensor, await file.readRaw(tensor)]).toEqual([tensor, await oracle.readRaw(tensor)])
    await file.close()
    await oracle.close()
  },
)

test('a tensor is read as float32', async () => {
  const before = tf.memory().numTensors
  const file = await openTorchCheckpoint(fixture('zip.pt'))
  const oracle = await openSafetensors(join(fixtures, 'contents.safetensors'))
  const half = await file.read('model.half')
  const expected = await oracle.read('model.half')
  expect([half.shape, half.dtype, half.dataSync()]).toEqual([[3, 4], 'float32', expected.dataSync()])
  tf.dispose([half, expected])
  await oracle.close()
  expect(tf.memory().numTensors).toBe(before)
})

test.each(['zip.pt', 'legacy.bin'])('%s gives what was saved besides tensors', async name => {
  const { root } = await openTorchCheckpoint(fixture(name))
  const { model, optimizer, ...rest } = Object.fromEntries(root as Map<string, unknown>)
  expect(rest).toEqual({
    epoch: 3,
    lr: 1e-3,
    big: -(2n ** 70n),
    name: 'é',
    none: null,
    flags: [true, false],
    pair: [1, -300, 70000],
    device: 'cpu',
  })
})

test('a checkpoint that would run a command is refused by the name of the command', async () => {
  await expect(openTorchCheckpoint(fixture('malicious.pt'))).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message:
      'buffer: the pickle names "posix.system", which is not among the classes of a state dict; running it could do ' +
      'anything, so the file is refused. Save only tensors, or convert it to safetensors.',
  })
})

test.each([
  [
    'neither layout',
    new TextEncoder().encode('weights'),
    'buffer: it begins as neither a zip archive nor a pickle, expected a PyTorch checkpoint.',
  ],
  [
    'half a zip archive',
    fixture('zip.pt').subarray(0, 2000),
    'buffer: the end of a zip archive is missing. The file is truncated or not a PyTorch checkpoint.',
  ],
  [
    'half of the old layout',
    fixture('legacy.bin').subarray(0, 1000),
    'buffer: the pickle ends early. The file is truncated or damaged.',
  ],
  [
    'a pickle of something else',
    Uint8Array.of(0x80, 2, 0x4b, 1, 0x2e),
    'buffer: it is a pickle but not a PyTorch checkpoint.',
  ],
])('%s is refused', async (_, bytes, message) => {
  await expect(openTorchCheckpoint(bytes)).rejects.toMatchObject({ code: 'HEED_FILE_INVALID', message })
})

const changed = (bytes: Uint8Array, at: number, value: number[]): Uint8Array => {
  const copy = bytes.slice()
  copy.set(value, at)
  return copy
}
const find = (bytes: Uint8Array, text: string) => Buffer.from(bytes).indexOf(text, 0, 'latin1')
const findLast = (bytes: Uint8Array, text: string) => Buffer.from(bytes).lastIndexOf(text, undefined, 'latin1')

test('a compressed entry, a missing pickle and a wrong byte order are refused', async () => {
  const zip = fixture('zip.pt')
  await expect(openTorchCheckpoint(changed(zip, find(zip, 'PK\x01\x02') + 10, [8]))).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'buffer: zip entry "zip/data.pkl": method is 8, expected 0 (stored). Save it with torch.save.',
  })
  await expect(openTorchCheckpoint(changed(zip, findLast(zip, 'data.pkl'), [0x58]))).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'buffer: zip entry data.pkl is missing, expected a PyTorch checkpoint.',
  })
  const big = changed(zip, find(zip, 'little'), [...new TextEncoder().encode('biggie')])
  await expect(openTorchCheckpoint(big)).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'buffer: byteorder is "biggie", expected "little".',
  })
})

test('a storage that is missing or too short is refused', async () => {
  const zip = fixture('zip.pt')
  const entry = findLast(zip, 'zip/data/0')
  await expect(
    openTorchCheckpoint(changed(zip, entry, [...new TextEncoder().encode('zip/dato/0')])),
  ).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'buffer: storage "0" has no bytes, expected 192. The file is truncated or damaged.',
  })
  const shorter = changed(changed(zip, entry - 46 + 20, [191]), entry - 46 + 24, [191])
  await expect(openTorchCheckpoint(shorter)).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'buffer: storage "0" has 191 bytes, expected 192. The file is truncated or damaged.',
  })
})

test('a zip directory that lies is refused', async () => {
  const zip = fixture('zip.pt')
  const refused = (bytes: Uint8Array, message: string) =>
    expect(openTorchCheckpoint(bytes)).rejects.toMatchObject({ code: 'HEED_FILE_INVALID', message })
  const directory = find(zip, 'PK\x01\x02')
  const second = Buffer.from(zip).indexOf('PK\x01\x02', directory + 4, 'latin1')
  const end64 = findLast(zip, 'PK\x06\x06')
  await refused(
    changed(zip, second, [0]),
    `buffer: byte ${second - directory} of the zip directory is no entry. The file is damaged.`,
  )
  await refused(
    changed(zip, directory + 29, [255]),
    'buffer: byte 0 of the zip directory is no entry. The file is damaged.',
  )
  await refused(
    changed(zip, findLast(zip, 'zip/data/2'), [...new TextEncoder().encode('zip/data/3')]),
    'buffer: zip entry "zip/data/3" appears twice, expected each name once.',
  )
  await refused(
    changed(changed(zip, directory + 23, [1]), directory + 27, [1]),
    `buffer: zip entry "zip/data.pkl": its ${2 ** 24 + zip[directory + 24]! + 256 * zip[directory + 25]!} bytes at 0 end beyond ` +
      `the file's ${zip.length}. The file is truncated or damaged.`,
  )
  await refused(
    changed(zip, directory + 42, [1]),
    'buffer: byte 1 begins no zip entry, expected one. The file is damaged.',
  )
  await refused(
    changed(zip, end64 + 43, [255]),
    `buffer: zip directory is ${255 * 2 ** 24 + (end64 - directory)} bytes, expected at most 67108864.`,
  )
})

test('an entry whose sizes and offset are in the 64-bit extra field is found', async () => {
  const u16 = (...values: number[]) => Buffer.from(Uint16Array.from(values).buffer)
  const u32 = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer)
  const u64 = (...values: number[]) => Buffer.from(BigUint64Array.from(values, BigInt).buffer)
  const name = Buffer.from('data.pkl')
  const pickle = Buffer.from('\x80\x02}X\x01\x00\x00\x00aK\x07s.', 'latin1')
  const local = Buffer.concat([u32(0x04034b50), Buffer.alloc(22), u16(name.length, 0), name, pickle])
  const extra = Buffer.concat([u16(0x7777, 2, 0), u16(1, 24), u64(pickle.length, pickle.length, 0)])
  const entry = Buffer.concat([
    u32(0x02014b50),
    Buffer.alloc(16),
    u32(0xffffffff, 0xffffffff),
    u16(name.length, extra.length),
    Buffer.alloc(10),
    u32(0xffffffff),
    name,
    extra,
  ])
  const end = Buffer.concat([u32(0x06054b50), Buffer.alloc(8), u32(entry.length, local.length), u16(0)])
  const { root } = await openTorchCheckpoint(Buffer.concat([local, entry, end]))
  expect(root).toEqual(new Map([['a', 7]]))
})

test('a pickle that never ends is given up', async () => {
  const endless = {
    name: 'endless.bin',
    byteLength: 2 ** 42,
    async read(_: number, length: number) {
      const bytes = new Uint8Array(length)
      bytes.set([0x80, 2, 0x58, 0xff, 0xff, 0xff, 0xff].slice(0, length)) // a text of 4 GB
      return bytes
    },
    async close() {},
  }
  await expect(openTorchCheckpoint(endless)).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'endless.bin: the pickle has 268435456 bytes, expected at most 134217728.',
  })
})

test('an old layout whose storages disagree is refused', async () => {
  const legacy = fixture('legacy.bin')
  const { tensors } = await openTorchCheckpoint(legacy)
  const whole = tensors.get('model.whole') as unknown as TorchTensor
  const count = Buffer.from(legacy).lastIndexOf(Buffer.from(BigInt64Array.of(48n).buffer))
  await expect(openTorchCheckpoint(changed(legacy, count, [49]))).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: `buffer: storage "${whole.storage.key}" has 49 elements, expected 48. The file is damaged.`,
  })
})

/** Opens and reads everything: tensors of the size their shape says, or a HeedError; never another exception. */
async function readsOrRefuses(bytes: Uint8Array): Promise<void> {
  try {
    const file = await openTorchCheckpoint(bytes)
    for (const [name, { shape }] of file.tensors) {
      const tensor = await file.read(name)
      expect(tensor.size).toBe(shape.reduce((product, size) => product * size, 1))
      tensor.dispose()
    }
  } catch (error) {
    expect(error).toBeInstanceOf(HeedError)
    expect(['HEED_FILE_INVALID', 'HEED_DTYPE_UNSUPPORTED']).toContain((error as HeedError).code)
  }
}

test('checkpoints with some bytes changed are read or refused', async () => {
  for (const name of ['zip.pt', 'legacy.bin']) {
    const valid = fixture(name)
    const pickle = find(valid, '\x80\x02')
    const at = fc.oneof(
      fc.nat(valid.length - 1),
      fc.integer({ min: pickle, max: Math.min(pickle + 2500, valid.length - 1) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(at, fc.nat(255)), { minLength: 1, maxLength: 4 }), async changes => {
        const bytes = valid.slice()
        for (const [index, value] of changes) bytes[index] = value
        await readsOrRefuses(bytes)
      }),
      { numRuns: 400 },
    )
  }
})

test('a checkpoint cut anywhere is refused', async () => {
  for (const name of ['zip.pt', 'legacy.bin']) {
    const valid = fixture(name)
    for (let length = 0; length < valid.length; length += 37) {
      await expect(openTorchCheckpoint(valid.subarray(0, length))).rejects.toMatchObject({ code: 'HEED_FILE_INVALID' })
    }
  }
})

const meta = fileURLToPath(
  new URL('../../../../../shared/data/C/pytorch+torchtune/tiny_fair_checkpoint.pt', import.meta.url),
)
test.skipIf(!existsSync(meta))(
  "Meta's own layout loads from tiny_fair_checkpoint.pt (skipped where ../shared is absent)",
  async () => {
    const file = await openTorchCheckpoint(meta)
    expect(file.tensors.size).toBe(21)
    const embeddings = await file.read('tok_embeddings.weight')
    expect(embeddings.shape).toEqual([500, 32])
    expect(Array.from(embeddings.dataSync()).reduce((sum, x) => sum + Math.abs(x), 0)).toBeCloseTo(3200.000047683716, 9)
    embeddings.dispose()
    await file.close()
  },
)
