import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { attention, HeedError, init, rmsNorm, tf } from '@heed/tensor-backend'
import fc from 'fast-check'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { loadWasm } from '../../src/backends/wasm.ts'
import { expectNoLeak, noise, noiseTensor, onCpu } from '../ops/conformance.ts'

describe('the wasm backend with threads', () => {
  beforeAll(async () => {
    const { threads, instructionSet } = await init({ backend: 'wasm', threads: 2 })
    expect({ threads, instructionSet }).toEqual({ threads: 2, instructionSet: 'relaxed-simd' })
  })
  expectNoLeak()

  test('a product of any shape is that of the cpu backend', async () => {
    const size = fc.integer({ min: 1, max: 200 })
    await fc.assert(
      fc.asyncProperty(size, size, size, async (rows, depth, cols) => {
        const product = (): Float32Array =>
          tf.tidy(() => {
            const [a, b] = [noiseTensor([rows, depth], 1), noiseTensor([depth, cols], 2)]
            return tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D).dataSync<'float32'>()
          })
        expect(product()).toBeAllclose(await onCpu(product), { atol: 1e-4, rtol: 1e-4 })
      }),
      { numRuns: 30, seed: 1 },
    )
  })

  test('ten thousand loops in a row, with sleeps between, give what they give on one thread', async () => {
    const x = noiseTensor([64, 512], 1)
    const sum = tf.tidy(() => tf.sum(tf.mul(x, x)).dataSync()[0])
    for (let round = 0; round < 10; round++) {
      await new Promise(resolve => setTimeout(resolve, 5)) // the workers go to sleep
      for (let i = 0; i < 1000; i++) expect(tf.tidy(() => tf.sum(tf.mul(x, x)).dataSync()[0])).toBe(sum)
    }
    x.dispose()
  })

  test('memory that grows while the workers run is seen by all of them', () => {
    tf.tidy(() => {
      const weight = tf.ones([1024])
      for (let megabytes = 4; megabytes <= 64; megabytes *= 2) {
        const x = tf.fill([megabytes * 256, 1024], megabytes)
        const norms = tf.mean(tf.square(rmsNorm(x, weight, 0)), -1).dataSync()
        expect(norms.every(norm => Math.abs(norm - 1) < 1e-4)).toBe(true)
      }
    })
  })

  test('a kernel with loops in loops and memory of its own is that of the cpu backend', async () => {
    const run = (): Float32Array =>
      tf.tidy(() => {
        const [q, k, v] = [1, 2, 3].map(seed => noiseTensor([2, 70, 4, 16], seed)) as [tf.Tensor, tf.Tensor, tf.Tensor]
        return attention(q, k, v, { isCausal: true }).dataSync<'float32'>()
      })
    expect(run()).toBeAllclose(await onCpu(run), { atol: 1e-5, rtol: 1e-4 })
  })

  test('values that are read lie in memory of their own, which every interface of a page takes', async () => {
    const x = tf.tensor(noise(5, 1))
    expect(x.dataSync().buffer).toBeInstanceOf(ArrayBuffer)
    expect((await x.data()).buffer).toBeInstanceOf(ArrayBuffer)
    expect((await x.bytes()) as Uint8Array).toBeInstanceOf(Uint8Array)
    const text = tf.tensor(['über', 'ß'])
    expect(text.dataSync<'string'>()).toEqual(['über', 'ß'])
    tf.dispose([x, text])
  })

  test('another number of threads is refused, the same is not', async () => {
    await expect(init({ backend: 'wasm', threads: 2 })).resolves.toMatchObject({ threads: 2 })
    const error: unknown = await init({ backend: 'wasm', threads: 3 }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(HeedError)
    expect((error as HeedError).code).toBe('HEED_ARGUMENT_INVALID')
    expect((error as HeedError).message).toBe(
      'init: threads is 3, expected 2, with which the wasm backend was started. Call init once, first.',
    )
  })

  test('sleeping and spinning workers let the process end', () => {
    const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
    const script = `
      const { init, tf } = await import('@heed/tensor-backend')
      const { threads } = await init({ backend: 'wasm', threads: 4 })
      console.log(threads, tf.sum(tf.matMul(tf.ones([300, 300]), tf.ones([300, 300]))).dataSync()[0])`
    const { status, stdout } = spawnSync(
      process.execPath,
      [
        ...['--conditions=@heed/source', '--import', file('../tfjs-suite/register.mjs')],
        ...['--input-type=module', '--eval', script],
      ],
      { cwd: file('..'), encoding: 'utf8', timeout: 50_000 },
    )
    expect(stdout.trim().split('\n').at(-1)).toBe('4 27000000')
    expect(status).toBe(0)
  })
})

test('without shared memory the wasm backend has one thread', async () => {
  vi.doMock('#wasm-platform', async original => ({ ...(await original<object>()), canShareMemory: () => false }))
  vi.resetModules()
  const { loadWasm: loadWithout } = await import('../../src/backends/wasm.ts')
  await expect(loadWithout(2)).resolves.toMatchObject({ name: 'wasm', threads: 1, instructionSet: 'relaxed-simd' })
  await expect(loadWasm(1)).resolves.toMatchObject({ name: 'wasm', threads: 1, instructionSet: 'relaxed-simd' })
})
