import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { init, tf } from '@heed/tensor-backend'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { TokenShards, writeTokenShards } from '../src/data/token-shards.ts'
import { lastCheckpoint } from '../src/run-folder.ts'
import { smallRun } from './child/small-run.ts'
import { temporaryFolder } from './temporary-folder.ts'

beforeAll(async () => {
  await init()
})
afterEach(() => {
  vi.restoreAllMocks()
  expect(tf.memory().numTensors).toBe(0)
})

type Method = 'write' | 'sync'

/** Makes the call with this number (from 0), and all after it, fail as on a full disk -> the calls that were made. */
async function fillAt(method: Method, number: number): Promise<() => number> {
  const handle = await open(import.meta.filename, 'r')
  await handle.close()
  const prototype = Object.getPrototypeOf(handle)
  const call = prototype[method]
  let calls = 0
  vi.spyOn(prototype, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
    calls += 1
    if (calls > number) return Promise.reject(Object.assign(new Error('simulated'), { code: 'ENOSPC' }))
    return call.apply(this, args)
  })
  return () => calls
}

const checkpointFiles = (folder: string): Record<string, string[]> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter(name => name.includes('checkpoint'))
      .sort()
      .map(name => [name, readdirSync(`${folder}/${name}`).sort()]),
  )

describe.each(['write', 'sync'] as const)('a disk that is full from some %s on', method => {
  test('ends a run by one error; its checkpoints are whole, and it goes on from the last when there is room', async () => {
    const [begun, whole] = [temporaryFolder(), temporaryFolder()]
    await smallRun(begun, 2)
    await smallRun(whole, 4)
    const weights = (folder: string): Buffer => readFileSync(`${folder}/checkpoint-4/model.safetensors`)
    const files = checkpointFiles(begun)
    const ends = new Set<string>()
    for (let number = 0; ; number += 3) {
      const folder = temporaryFolder()
      cpSync(begun, folder, { recursive: true })
      const calls = await fillAt(method, number)
      const error = await smallRun(folder, 4).then(
        () => undefined,
        error => error,
      )
      vi.restoreAllMocks()
      if (error === undefined) {
        expect(calls()).toBeLessThanOrEqual(number + 1) // the last renaming may fail to reach the disk unheard
        expect(number).toBeGreaterThan(10)
        break
      }
      expect(`${error.code} ${error.message}`).toMatch(
        /^HEED_IO \S+: (writing|saving) failed: the disk is full \(ENOSPC\)\. Free some space\.$/,
      )
      for (const [name, names] of Object.entries(checkpointFiles(folder))) {
        if (name.startsWith('tmp-removed-')) continue // an old one, on its way out
        expect(name).toMatch(/^checkpoint-\d$/)
        expect(names, name).toEqual(files['checkpoint-2'])
      }
      ends.add((await lastCheckpoint(folder))!.slice(folder.length))
      await smallRun(folder, 4)
      expect(weights(folder).equals(weights(whole))).toBe(true)
    }
    expect([...ends].slice(0, 2)).toEqual(['/checkpoint-2', '/checkpoint-3'])
  })
})

test('a full disk leaves nothing of a new corpus behind, and the one that was there whole', async () => {
  const pieces = [{ ids: Uint16Array.from({ length: 40 }, (_, i) => i), numBytes: 40 }]
  const write = (folder: string) => writeTokenShards(folder, pieces, { vocabSize: 64, maxShardTokens: 16 })
  for (const before of [0, 3]) {
    for (const number of [0, 1, 2]) {
      const folder = temporaryFolder()
      if (before > 0) await write(folder)
      const files = readdirSync(folder).sort()
      await fillAt('write', number)
      await expect(write(folder)).rejects.toMatchObject({
        code: 'HEED_IO',
        message: expect.stringContaining(
          `/tokens-0000${before + number}.bin: writing failed: the disk is full (ENOSPC).`,
        ),
      })
      vi.restoreAllMocks()
      expect(readdirSync(folder).sort()).toEqual(files)
    }
  }
})

test('a corpus takes the place of the one that was there', async () => {
  const folder = temporaryFolder()
  for (const length of [40, 20]) {
    const pieces = [{ ids: Uint16Array.from({ length }, (_, i) => i), numBytes: length }]
    const { shards } = await writeTokenShards(folder, pieces, { vocabSize: 64, maxShardTokens: 16 })
    expect(readdirSync(folder).sort()).toEqual(['token-shards.json', ...shards.map(({ file }) => file)])
    const blocks = await TokenShards.open(folder, { blockSize: length })
    expect(Array.from((await blocks.get(0)).inputIds)).toEqual(Array.from({ length }, (_, i) => i))
    await blocks.close()
  }
})
