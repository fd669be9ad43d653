import { copyFileSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accumulate, HeedError, init, linear, openGguf, tf, writeGguf } from '@heed/tensor-backend'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const values = Float32Array.from({ length: 96 * 96 }, (_, i) => Math.sin(i + 1))
const bytes = new Uint8Array(values.buffer)
let folder: string
let path: string
let before: number

/** How often this process has the file as memory. */
const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split(path).length - 1

/** Two tensors of the file, which is closed. */
async function readBoth(): Promise<[tf.Tensor, tf.Tensor]> {
  const file = await openGguf(path)
  const tensors: [tf.Tensor, tf.Tensor] = [await file.read('a'), await file.read('b')]
  await file.close()
  return tensors
}

// What is seen of a mapping is the same elsewhere, but for /proc.
describe.skipIf(process.platform !== 'linux')('F32 of a GGUF file is not copied (Linux)', () => {
  beforeAll(async () => {
    await init({ backend: 'native' })
    folder = await mkdtemp(join(tmpdir(), 'heed-mapped-'))
    path = join(folder, 'a.gguf')
    before = tf.memory().numTensors
  })
  afterAll(async () => {
    await rm(folder, { recursive: true })
    expect(tf.memory().numTensors).toBe(before)
  })
  beforeEach(async () => {
    const tensor = { type: 'F32' as const, shape: [values.length], bytes: async () => bytes }
    const tensors = new Map([
      ['a', tensor],
      ['b', tensor],
    ])
    await writeGguf(path, { metadata: new Map(), tensors })
  })

  test('its tensors outlive its closing, and the mapping goes with the last of them', async () => {
    const [a, b] = await readBoth()
    expect(mappings()).toBe(1)
    a.dispose()
    expect(b.dataSync()).toEqual(values)
    b.dispose()
    expect(mappings()).toBe(0)
  })

  test('what is written to a tensor stays in this process', async () => {
    const [a, b] = await readBoth()
    const variable = tf.variable(a)
    a.dispose()
    tf.tidy(() => accumulate(variable, tf.onesLike(variable)))
    expect(variable.dataSync()[0]).toBe(Math.fround(values[0]! + 1))
    expect(b.dataSync()).toEqual(values)
    tf.dispose([b, variable])
    const again = await readBoth()
    expect(again[0].dataSync()).toEqual(values)
    tf.dispose(again)
  })

  test('a weight can be packed for products, and be had in order again', async () => {
    const [a, b] = await readBoth()
    const weight = tf.tidy(() => tf.variable(a.reshape([96, 96])))
    tf.dispose([a, b])
    const x = tf.ones<tf.Rank.R2>([32, 96])
    const products = Array.from({ length: 20 }, () => linear(x, weight, undefined, 'none', 'outIn', true))
    expect(mappings()).toBe(0) // it has moved
    for (const y of products) expect(y.dataSync()).toEqual(products[0]!.dataSync())
    expect(weight.dataSync()).toEqual(values)
    tf.dispose([x, weight, products])
  })

  test('a tensor that is read twice from one opening is two', async () => {
    const file = await openGguf(path)
    const first = await file.read('a')
    const variable = tf.variable(first)
    first.dispose()
    tf.tidy(() => accumulate(variable, tf.onesLike(variable)))
    const second = await file.read('a')
    expect(second.dataSync()).toEqual(values)
    second.dispose()
    expect(variable.dataSync()[values.length / 2]).toBe(Math.fround(values[values.length / 2]! + 1))
    variable.dispose()
    const third = await file.read('a')
    expect(third.dataSync()).toEqual(values)
    third.dispose()
    await file.close()
    expect(mappings()).toBe(0)
  })

  test('a file that is written in place is an error of whoever reads values of it back, as a saving does', async () => {
    const [a, b] = await readBoth()
    expect(b.dataSync()).toEqual(values)
    writeFileSync(path, readFileSync(path).fill(1, 4096))
    utimesSync(path, 1, 1) // the clock of the system may not have moved
    expect(() => b.dataSync()).toThrow(
      new HeedError(
        'HEED_IO',
        `${path}: it has changed since tensors were opened from it, and their values with it. Dispose of them, and load them again.`,
      ),
    )
    tf.dispose([a, b])
  })

  test('a file that becomes shorter is an error of whoever reads from it, and does not end the process', async () => {
    const tensors = await readBoth()
    const other = join(folder, 'b.gguf')
    copyFileSync(path, other)
    const otherFile = await openGguf(other)
    const whole = await otherFile.read('b')
    await otherFile.close()
    truncateSync(path, 4096)
    const isShorter = expect.objectContaining({
      code: 'HEED_IO',
      message: expect.stringContaining(`${path}: it has become shorter`),
    })
    expect(() => tf.tidy(() => tf.add(tensors[1], 1).dataSync())).toThrow(isShorter)
    expect(() => tf.tidy(() => tf.add(tensors[0], 1))).toThrow(isShorter) // from now on before it computes
    expect(tf.tidy(() => tf.mul(whole, 1).dataSync())).toEqual(values)
    tf.dispose([tensors, whole])
    expect(tf.tidy(() => tf.div(0, 0).dataSync())).toEqual(Float32Array.of(Number.NaN))
  })
})
