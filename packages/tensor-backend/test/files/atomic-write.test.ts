import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { writeFileAtomic, writeFilesAtomic } from '../../src/files/atomic-write.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-atomic-'))
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true })
})

async function failOnce(method: 'write' | 'sync', code: string): Promise<void> {
  const handle = await open(folder, 'r')
  await handle.close()
  const error = Object.assign(new Error(`${code}: simulated`), { code })
  vi.spyOn(Object.getPrototypeOf(handle), method).mockRejectedValueOnce(error)
}

test('a written file holds the text as UTF-8 and replaces what was there', async () => {
  const path = join(folder, 'new', 'config.json')
  await writeFileAtomic(path, 'old')
  await writeFileAtomic(path, 'né')
  expect([...(await readFile(path))]).toEqual([0x6e, 0xc3, 0xa9])
  expect(await readdir(join(folder, 'new'))).toEqual(['config.json'])
})

test.each([
  ['ENOSPC', 'the disk is full (ENOSPC). Free some space.'],
  ['EDQUOT', 'the quota of this user is used up (EDQUOT). Free some space, or have it raised.'],
  [
    'EFBIG',
    'the file is larger than is allowed (EFBIG). Raise the limit (ulimit -f), or take a disk that holds large files.',
  ],
])('a full disk (%s) leaves the old file and nothing else', async (code, reason) => {
  for (const method of ['write', 'sync'] as const) {
    const path = join(folder, 'weights.bin')
    await writeFile(path, 'old')
    await failOnce(method, code)
    await expect(writeFileAtomic(path, 'new')).rejects.toMatchObject({
      code: 'HEED_IO',
      message: `${path}: writing failed: ${reason}`,
    })
    expect(await readFile(path, 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual(['weights.bin'])
  }
})

test('bytes that cannot be brought to the disk leave nothing', async () => {
  const path = join(folder, 'weights.bin')
  await failOnce('sync', 'EIO')
  await expect(writeFileAtomic(path, 'new')).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `${path}: writing failed: EIO. Check the path and its permissions.`,
  })
  expect(await readdir(folder)).toEqual([])
})

test('a writer that throws leaves none of its group', async () => {
  const files = [
    { path: join(folder, 'a'), content: (write: (bytes: Uint8Array) => Promise<void>) => write(new Uint8Array(9)) },
    { path: join(folder, 'b'), content: () => Promise.reject(new Error('no tensor')) },
  ]
  await expect(writeFilesAtomic(files)).rejects.toThrow('no tensor')
  expect(await readdir(folder)).toEqual([])
})

test('a folder in the place of the file is an error that leaves no temporary', async () => {
  const path = join(folder, 'taken')
  await writeFileAtomic(join(path, 'inside'), '')
  await expect(writeFileAtomic(path, 'x')).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `${path}: writing failed: EISDIR. Check the path and its permissions.`,
  })
  expect(await readdir(folder)).toEqual(['taken'])
})

test('a file in the place of a folder is an error', async () => {
  const file = join(folder, 'file')
  await writeFile(file, '')
  const path = join(file, 'x')
  await expect(writeFileAtomic(path, '')).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message: `${file}: this, or a folder on the way to it, is a file, expected a folder. Check the path.`,
  })
})

// where the system has it, `mkdir` answers ENOENT there
test.runIf(process.platform === 'linux')('a place where no folders can be made is an error', async () => {
  await expect(writeFileAtomic('/proc/heed/model/config.json', '')).rejects.toMatchObject({
    code: 'HEED_IO',
    message: '/proc/heed: making the folder failed: no folders can be made there (ENOENT). Choose another path.',
  })
})

test('a process that ends in the middle of writing leaves nothing', async () => {
  const path = join(folder, 'weights.bin')
  const listeners = process.listeners('exit')
  const others = (): NodeJS.ExitListener[] => process.listeners('exit').filter(each => !listeners.includes(each))
  const written = writeFilesAtomic([
    {
      path,
      async content(write) {
        await write(new Uint8Array(8))
        expect(await readdir(folder)).toHaveLength(1)
        for (const listener of others()) listener.call(process, 130)
        expect(await readdir(folder)).toEqual([])
      },
    },
  ])
  await expect(written).rejects.toMatchObject({ code: 'HEED_FILE_NOT_FOUND' })
  expect(others()).toEqual([])
})
