import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { init, tf } from '@heed/tensor-backend'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeValues } from '../../src/files/dtypes.ts'
import { openFile } from '../../src/files/node/file-system.ts'
import { type ReadableFloat, readFloats } from '../../src/files/read-floats.ts'

let folder: string
let path: string
// Every pattern of 16 bits, several times over: numbers, subnormals, infinities and no numbers.
const bits = Uint16Array.from({ length: 2 ** 19 + 2 * 77 }, (_, i) => i)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-'))
  path = join(folder, 'floats.bin')
  writeFileSync(path, bits)
})
afterAll(() => rm(folder, { recursive: true }))

describe.each(['native', 'wasm', 'cpu'] as const)('on %s', backend => {
  beforeAll(() => init({ backend }))

  test.each(['F32', 'F16', 'BF16'] as const)('%s values of a file on %s are those of its bytes', async dtype => {
    const source = await openFile(path)
    const before = tf.memory().numTensors
    for (const [byteOffset, count] of [
      [0, dtype === 'F32' ? bits.length / 2 : bits.length],
      [8, 100_003],
      [4, 1],
      [4, 0],
    ] as const) {
      const tensor = await readFloats(source, { dtype, shape: [count], byteOffset })
      const bytes = new Uint8Array(bits.buffer, byteOffset, count * (dtype === 'F32' ? 4 : 2))
      expect(firstOther(tensor.dataSync<'float32'>(), decodeValues(bytes, dtype, '') as Float32Array)).toBe(-1)
      tensor.dispose()
    }
    expect(tf.memory().numTensors).toBe(before)
    await source.close()
  })

  test('a file that ends before, or is closed, is an error and leaves no tensor', async () => {
    const source = await openFile(path)
    const before = tf.memory().numTensors
    const read = (dtype: ReadableFloat) => readFloats(source, { dtype, shape: [bits.length], byteOffset: 4 })
    await expect(read('F16')).rejects.toThrow(/are needed, expected them within its \d+ bytes/)
    writeFileSync(path, bits.subarray(0, 9))
    await expect(readFloats(source, { dtype: 'F16', shape: [100], byteOffset: 0 })).rejects.toThrow(
      /It shrank while open/,
    )
    writeFileSync(path, bits)
    await source.close()
    await expect(readFloats(source, { dtype: 'F32', shape: [100], byteOffset: 0 })).rejects.toThrow(
      /the file was closed/,
    )
    expect(tf.memory().numTensors).toBe(before)
  })
})

/** Where values first differ, NaN being equal to itself; -1 when nowhere. */
function firstOther(values: Float32Array, expected: Float32Array): number {
  if (values.length !== expected.length) return values.length
  return expected.findIndex((value, i) => !Object.is(value, values[i]))
}
