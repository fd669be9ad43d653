import { truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { init, QuantizedWeight, quantizedEmbedding, quantizedLinear, StepProgram, tf } from '@heed/tensor-backend'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SharedFile } from '../../src/files/byte-source.ts'
import { openFile } from '../../src/files/node/file-system.ts'
import { bytesOf, type QuantizedType } from '../../src/ops/quantized-format.ts'
import { expectNoLeak, noiseTensor } from './conformance.ts'
import { randomBlocks } from './random-blocks.ts'

const types = ['Q8_0', 'Q4_0', 'Q4_K', 'Q6_K', 'F16', 'BF16'] as const
const OFFSET = 96

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-'))
  await init({ backend: 'native' })
})
afterAll(() => rm(folder, { recursive: true }))

/** Bytes behind some others in a file of their own, which is held once. */
async function fileOf(bytes: Uint8Array): Promise<SharedFile> {
  const path = join(folder, 'weight.bin')
  writeFileSync(path, Buffer.concat([new Uint8Array(OFFSET), bytes]))
  const source = await openFile(path)
  const file = source.share!()!
  await source.close()
  return file
}

interface Pair {
  inFile: QuantizedWeight
  inMemory: QuantizedWeight
  file: SharedFile
}

/** The same random weight twice; the file is held by the one in it alone. */
async function pairOf(type: QuantizedType, rows: number, cols: number, isTable = false): Promise<Pair> {
  const bytes = randomBlocks(type, bytesOf(type, rows * cols))
  const file = await fileOf(bytes)
  const inFile = QuantizedWeight.inFile(type, [rows, cols], { file, offset: OFFSET }, { isTable })!
  file.release()
  return { inFile, inMemory: QuantizedWeight.fromBytes(type, [rows, cols], bytes), file }
}

function dispose({ inFile, inMemory }: Pair): void {
  inFile.dispose()
  inMemory.dispose()
}

const changed = (file: SharedFile): string =>
  `${file.name}: weights that were still to be read from it cannot be: the file has changed since it was opened. ` +
  'Load the model again.'

expectNoLeak()

describe.each(types)('%s', type => {
  test.each([1, 9, 70])('products of %i rows by a weight in a file are those by one in memory', async count => {
    const pair = await pairOf(type, 1093, 512)
    const [x, bias] = [noiseTensor([count, 512], 1), noiseTensor([1093], 2)]
    const product = (weight: QuantizedWeight, b?: tf.Tensor) => {
      const y = quantizedLinear(x, weight, b)
      return y.dataSync().slice() as Float32Array
    }
    const expected = tf.tidy(() => [product(pair.inMemory, bias), product(pair.inMemory)] as const)
    tf.tidy(() => {
      expect(pair.inFile.isSettled).toBe(false)
      expect(product(pair.inFile, bias)).toEqual(expected[0])
      expect(pair.inFile.isSettled).toBe(false)
      expect(product(pair.inFile)).toEqual(expected[1])
      expect(pair.inFile.isSettled).toBe(true)
      expect(pair.file.fd).toBe(-1) // all of it has been read
      expect(product(pair.inFile, bias)).toEqual(expected[0])
    })
    tf.dispose([x, bias])
    dispose(pair)
  })

  test('rows of a table in a file are those of one in memory, also in a step that is made again', async () => {
    const pair = await pairOf(type, 93, 512, true)
    const program = new StepProgram()
    for (const [position, ids] of [
      [3, 92, 0],
      [5, 5, 1],
      [0, 1, 2],
      [91, 7, 33],
    ].entries()) {
      const input = tf.tensor1d(ids, 'int32')
      const { result, isReplayed } = program.run({
        inputs: [input],
        position,
        state: () => [pair.inFile.data],
        compute: () => quantizedEmbedding(input, pair.inFile),
      })
      expect(isReplayed).toBe(position > 1)
      const expected = quantizedEmbedding(input, pair.inMemory)
      expect(result.dataSync()).toEqual(expected.dataSync())
      tf.dispose([input, result, expected])
    }
    const whole = [pair.inFile.dequantize(), pair.inMemory.dequantize()]
    expect(whole[0]!.dataSync()).toEqual(whole[1]!.dataSync())
    expect(pair.file.fd).toBeGreaterThan(2) // a table is never read whole
    tf.dispose(whole)
    program.dispose()
    dispose(pair)
    expect(pair.file.fd).toBe(-1)
  })
})

test('rows of heads that lie in pairs become halves', async () => {
  const [rows, cols, headDim] = [192, 64, 96]
  const bytes = randomBlocks('Q8_0', bytesOf('Q8_0', rows * cols))
  const rowBytes = bytes.length / rows
  const halves = new Uint8Array(bytes.length)
  for (let row = 0; row < rows; row++) {
    const [head, i] = [Math.floor(row / headDim), row % headDim]
    const to = head * headDim + (i % 2) * (headDim / 2) + Math.floor(i / 2)
    halves.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes)
  }
  const place = { file: await fileOf(bytes), offset: OFFSET }
  const inFile = QuantizedWeight.inFile('Q8_0', [rows, cols], place, { pairedHeadDim: headDim })!
  const inMemory = QuantizedWeight.fromBytes('Q8_0', [rows, cols], halves)
  const x = noiseTensor([3, cols], 1)
  tf.tidy(() => {
    const expected = quantizedLinear(x, inMemory).dataSync()
    for (let use = 0; use < 2; use++) expect(quantizedLinear(x, inFile).dataSync()).toEqual(expected)
  })
  // strips of 16 rows do not fit into halves of 24
  expect(QuantizedWeight.inFile('Q8_0', [rows, cols], place, { pairedHeadDim: 48 })).toBeUndefined()
  place.file.release()
  tf.dispose(x)
  dispose({ inFile, inMemory, file: place.file })
})

test('the gradient of a product is that by a weight in memory', async () => {
  const pair = await pairOf('Q8_0', 48, 64)
  tf.tidy(() => {
    const x = noiseTensor([3, 64], 1)
    const gradient = (weight: QuantizedWeight) =>
      tf
        .grad(a => quantizedLinear(a, weight))(x)
        .dataSync()
    expect(gradient(pair.inFile)).toEqual(gradient(pair.inMemory))
  })
  dispose(pair)
})

test('a file that has become shorter or another is one clear error', async () => {
  const x = noiseTensor([1, 64], 1)
  const ids = tf.tensor1d([47, 0], 'int32')
  const uses: [string, boolean, (weight: QuantizedWeight) => unknown][] = [
    ['a first product', false, weight => quantizedLinear(x, weight)],
    ['the whole', false, weight => weight.dequantize()],
    ['rows', true, weight => quantizedEmbedding(ids, weight)],
  ]
  for (const [what, isTable, use] of uses) {
    const pair = await pairOf('Q8_0', 48, 64, isTable)
    truncateSync(pair.file.name, OFFSET + 1000)
    tf.tidy(() => {
      expect(() => use(pair.inFile), what).toThrow(changed(pair.file))
    })
    dispose(pair)
  }
  const pair = await pairOf('Q8_0', 48, 64)
  writeFileSync(pair.file.name, new Uint8Array(OFFSET + bytesOf('Q8_0', 48 * 64) + 1))
  tf.tidy(() => {
    quantizedLinear(x, pair.inFile) // what it would say of other numbers in the same place
    expect(() => quantizedLinear(x, pair.inFile)).toThrow(changed(pair.file))
  })
  tf.dispose([x, ids])
  dispose(pair)
})

test('a file is closed once all who hold it have released it, and is not shared once its path is of another', async () => {
  const path = join(folder, 'shared.bin')
  writeFileSync(path, 'first')
  const source = await openFile(path)
  const file = source.share!()!
  file.hold()
  file.release()
  expect(file.isUnchanged()).toBe(true)
  await source.close()
  expect(file.fd).toBeGreaterThan(2)
  await rm(path)
  expect(file.isUnchanged()).toBe(true)
  file.release()
  expect([file.fd, file.isUnchanged()]).toEqual([-1, false])
  writeFileSync(path, 'second')
  const opened = await openFile(path)
  await rm(path)
  expect(opened.share!()).toBeUndefined()
  writeFileSync(path, 'a third')
  expect(opened.share!()).toBeUndefined()
  await opened.close()
})

test('on wasm a weight does not stay in its file', async () => {
  await init({ backend: 'wasm' })
  const file = await fileOf(randomBlocks('Q8_0', bytesOf('Q8_0', 16 * 32)))
  expect(QuantizedWeight.inFile('Q8_0', [16, 32], { file, offset: OFFSET })).toBeUndefined()
  file.release()
  await init({ backend: 'native' })
})
