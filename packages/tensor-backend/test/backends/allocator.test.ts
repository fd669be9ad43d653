import { init, tf } from '@heed/tensor-backend'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { KernelBackend } from '../../src/backends/kernel-backend.ts'
import type { KernelLibrary } from '../../src/backends/library.ts'

const MEGABYTE = 1 << 20

describe.each(['native', 'wasm'] as const)('blocks of memory on %s', name => {
  let library: KernelLibrary

  const taken = (): number => {
    const { inUse, cached } = library.memoryUse()
    return inUse + cached
  }

  beforeEach(async () => {
    await init({ backend: name })
    library = (tf.backend() as KernelBackend).library
  })

  test.each([100, 3 * MEGABYTE, 40 * MEGABYTE])('of %i bytes keep what is written and are handed out again', bytes => {
    const block = library.allocate(bytes)
    const { buffer, byteOffset } = library.view(block, bytes)
    const values = new Uint8Array(buffer, byteOffset, bytes)
    values.fill(7)
    expect([values[0], values[bytes - 1], block % 64]).toEqual([7, 7, 0])
    const before = taken()
    library.release(block)
    expect(taken()).toBe(before)
    const again = library.allocate(bytes)
    expect(again).toBe(block)
    library.release(again)
  })

  test.runIf(name === 'native')(
    'go back to the system rather than let the cache raise the peak by more than 64 MB',
    () => {
      // More than anything in this file took before, so that it is the most that was ever in use.
      const first = [200, 24, 0.5].map(size => library.allocate(size * MEGABYTE))
      const peak = library.memoryUse().inUse
      const spare = 64 * MEGABYTE
      for (const block of first) library.release(block)
      expect(taken()).toBeLessThanOrEqual(peak + spare)
      const second = [150, 10, 170, 9].map(size => {
        const block = library.allocate(size * MEGABYTE)
        expect(taken()).toBeLessThanOrEqual(Math.max(peak, library.memoryUse().inUse) + spare)
        return block
      })
      for (const block of second) library.release(block)
    },
  )

  test.runIf(name === 'native')('are kept when one step used them at once, until many have not', () => {
    library.trim!()
    const blocks = Array.from({ length: 5 }, () => library.allocate(100 * MEGABYTE))
    for (const block of blocks) library.release(block)
    expect(library.memoryUse().cached).toBeGreaterThanOrEqual(500 * MEGABYTE)
    for (let i = 0; i < 1 << 15; i++) library.release(library.allocate(64))
    expect(library.memoryUse().cached).toBeLessThanOrEqual(384 * MEGABYTE)
  })

  test.runIf(name === 'native')('go back to the system when they are not needed for a while', () => {
    const blocks = [MEGABYTE / 2, MEGABYTE, 9 * MEGABYTE].map(bytes => library.allocate(bytes))
    const { inUse } = library.memoryUse()
    for (const block of blocks) library.release(block)
    library.trim!()
    expect(library.memoryUse()).toEqual({ inUse: inUse - 10.5 * MEGABYTE, cached: 0 })
  })

  test.runIf(name === 'native')('go back to the system two seconds after the last text', () => {
    vi.useFakeTimers()
    try {
      library.release(library.allocate(9 * MEGABYTE))
      const before = taken()
      for (let text = 0; text < 3; text++) {
        library.trimSoon!()
        vi.advanceTimersByTime(1900)
        expect(taken()).toBe(before)
      }
      vi.advanceTimersByTime(100)
      expect(taken()).toBeLessThanOrEqual(before - 9 * MEGABYTE)
    } finally {
      vi.useRealTimers()
    }
  })

  test.runIf(name === 'wasm')('are cut out of larger ones that were released once the memory is full', () => {
    const all = (megabytes: number): number[] => {
      const blocks: number[] = []
      for (let block = library.allocate(megabytes * MEGABYTE); block !== 0; ) {
        blocks.push(block)
        block = library.allocate(megabytes * MEGABYTE)
      }
      return blocks
    }
    const large = all(600)
    const last = all(10) // what was left at the end
    expect(last.length).toBeLessThan(60)
    const before = taken()
    for (const block of large) library.release(block)
    const small = all(10)
    expect(small.length).toBeGreaterThanOrEqual(50 * large.length)
    expect(new Set(small).size).toBe(small.length)
    expect(taken()).toBeLessThanOrEqual(before)
    for (const block of [...last, ...small]) library.release(block)
  })
})
