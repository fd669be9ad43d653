import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Dataset } from '../../src/data/dataset.ts'
import { hashOf } from '../../src/data/map-rows.ts'
import { IterableDataset } from '../../src/data/stream.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const numbers = (length: number): Dataset<number> => Dataset.from(Array.from({ length }, (_, i) => i))
const moduleUrl = (name: string): URL => new URL(`./map/${name}.mjs`, import.meta.url)

const failureOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    ({ code, message }) => `${code}: ${message}`,
  )

describe('map', () => {
  test('gives batches of rows with their places and the arguments, in memory and in a stream alike', async () => {
    const change = (rows: number[], indices: number[], { add }: { add: number }) => [
      rows.length,
      ...rows.map((row, i) => row + indices[i]! + add),
    ]
    const options = { batched: true, batchSize: 4, fnKwargs: { add: 10 } } as const
    const expected = [4, 10, 12, 14, 16, 2, 18, 20]
    expect([...(await numbers(6).map(change, options))]).toEqual(expected)
    expect([...(await new IterableDataset(() => numbers(6)).map(change, options).toDataset())]).toEqual(expected)
    expect([...(await new IterableDataset(() => numbers(3)).map((row, i) => row * 10 + i).toDataset())]).toEqual([
      0, 11, 22,
    ])
  })

  test('by threads gives the rows of one thread, in their order', async () => {
    const rows = numbers(2500)
    const one = [
      ...(await rows.map<{ value: number; threadId: number }>(moduleUrl('double'), { fnKwargs: { factor: 3 } })),
    ]
    const four = [
      ...(await rows.map<{ value: number; threadId: number }>(moduleUrl('double'), {
        fnKwargs: { factor: 3 },
        numProc: 4,
      })),
    ]
    expect(four.map(row => ({ ...row, threadId: 0 }))).toEqual(one)
    expect(new Set(four.map(row => row.threadId)).size).toBeGreaterThan(1)
    expect(one[7]).toEqual({ value: 21, index: 7, threadId: 0 })
    const twice = await numbers(5).map<Int32Array>(moduleUrl('twice'), { batched: true, batchSize: 2, numProc: 8 })
    expect(Array.from(twice, pair => [...pair])).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4].map(i => [i, i]))
    expect([...(await numbers(0).map(moduleUrl('double'), { numProc: 2 }))]).toEqual([])
  })

  test('throws what the function throws, in a thread too', async () => {
    const fnKwargs = { factor: 1, failAt: 5 }
    for (const numProc of [1, 2]) {
      expect(await failureOf(numbers(9).map(moduleUrl('double'), { fnKwargs, numProc }))).toBe(
        'HEED_FILE_INVALID: row 5 is bad',
      )
    }
    expect(await failureOf(numbers(9).map(moduleUrl('double'), { fnKwargs: { exitAt: 5 }, numProc: 2 }))).toBe(
      'HEED_IO: Dataset.map: a thread ended with 3, expected it to go on. Do not end the process in the function.',
    )
  })

  test('refuses arguments that cannot be', async () => {
    expect(await failureOf(numbers(3).map(row => row, { numProc: 2 }))).toBe(
      "HEED_ARGUMENT_INVALID: Dataset.map: numProc is 2, expected 1 for a function of this program. Put it into a module as its default export, and give the module's URL.",
    )
    expect(await failureOf(numbers(3).map(rows => rows, { batched: true, batchSize: 0 }))).toBe(
      'HEED_ARGUMENT_INVALID: Dataset.map: batchSize is 0, expected an integer at least 1.',
    )
    expect(() => new IterableDataset(() => numbers(3)).map(rows => rows, { batched: true, batchSize: 0 })).toThrow(
      'IterableDataset.map: batchSize is 0, expected an integer at least 1.',
    )
    for (const numProc of [1, 2]) {
      expect(
        await failureOf(
          numbers(3).map(moduleUrl('twice'), { batched: true, numProc, fnKwargs: { givesNothing: true } }),
        ),
      ).toBe('HEED_ARGUMENT_INVALID: Dataset.map: the function gave undefined for a batch, expected a list of rows.')
    }
    const url = moduleUrl('no-default')
    expect(await failureOf(numbers(3).map(url))).toBe(
      `HEED_ARGUMENT_INVALID: Dataset.map: the default export of ${url.href} is undefined, expected the function that changes rows.`,
    )
    expect(await failureOf(numbers(3).map(url, { numProc: 2 }))).toBe(
      `undefined: ${url.href} has no function as its default export`,
    )
  })
})

describe('map with a cache', () => {
  test('computes again only when rows, function or arguments are others', async () => {
    const cacheFolder = temporaryFolder()
    let calls = 0
    const change = (row: number, _: number, by: number): number => {
      calls += 1
      return row * by
    }
    const run = async (rows: Dataset<number>, fnKwargs: number): Promise<[number[], number]> => {
      calls = 0
      return [[...(await rows.map(change, { fnKwargs, cacheFolder }))], calls]
    }
    expect(await run(numbers(3), 2)).toEqual([[0, 2, 4], 3])
    expect(await run(numbers(3), 2)).toEqual([[0, 2, 4], 0])
    expect(await run(numbers(4).take(3), 2)).toEqual([[0, 2, 4], 0])
    expect(await run(numbers(3), 3)).toEqual([[0, 3, 6], 3])
    expect(await run(numbers(4).skip(1), 2)).toEqual([[2, 4, 6], 3])
    const other = await numbers(3).map((row: number, _, by: number) => row + by, { fnKwargs: 2, cacheFolder })
    expect([...other]).toEqual([2, 3, 4])
    // A chain: its second function finds the first one's rows by their fingerprint.
    const chain = await (await numbers(3).map(change, { fnKwargs: 2, cacheFolder })).map(row => row + 1, {
      cacheFolder,
    })
    expect([...chain]).toEqual([1, 3, 5])
    expect(readdirSync(cacheFolder).filter(name => /^cache-[0-9a-f]{16}\.jsonl$/.test(name)).length).toBe(5)
  })

  test('does not see what a function closes over; a newFingerprint tells it', async () => {
    const cacheFolder = temporaryFolder()
    let by = 2
    const change = (row: number): number => row * by
    const run = async (newFingerprint?: string): Promise<Dataset<number>> =>
      numbers(3).map(change, { cacheFolder, ...(newFingerprint !== undefined && { newFingerprint }) })
    await run()
    await run('times-2')
    by = 3
    expect([...(await run())]).toEqual([0, 2, 4])
    expect([...(await run('times-2'))]).toEqual([0, 2, 4])
    const anew = await run('times-3')
    expect([...anew]).toEqual([0, 3, 6])
    expect(anew.fingerprint).toBe('times-3')
    expect(readdirSync(cacheFolder)).toContain('cache-times-3.jsonl')
    expect([...(await numbers(2).map(Math.sqrt, { cacheFolder, newFingerprint: 'roots' }))]).toEqual([0, 1])
    expect((await numbers(2).map(Math.sqrt, { newFingerprint: 'roots' })).fingerprint).toBe('roots')
    for (const name of ['', '../other', 'x'.repeat(65)]) {
      expect(await failureOf(run(name))).toBe(
        `HEED_ARGUMENT_INVALID: Dataset.map: newFingerprint is "${name}", expected 1 to 64 letters, digits, "_", "-" and ".", as it is part of a file's name.`,
      )
    }
  })

  test('keeps what rows hold, from threads too', async () => {
    const cacheFile = `${temporaryFolder()}/deep/rows.jsonl`
    const row = {
      text: 'é\n"',
      ids: Int32Array.of(1, -2),
      halves: Float32Array.of(0.5, Number.NaN),
      large: BigInt64Array.of(2n ** 60n),
      numbers: [1.5, -0, Number.POSITIVE_INFINITY, Number.NaN],
      day: new Date(1234567),
      big: 12345678901234567890n,
      nested: [{ $array: 'mine' }, null, true],
      absent: undefined,
    }
    const { absent, ...kept } = row
    const make = (): unknown => row
    await numbers(2).map(make, { cacheFile })
    const again = await numbers(2).map(make, { cacheFile })
    expect([...again]).toEqual([kept, kept])
    expect(again.get(0)).not.toBe(row)

    const options = { batched: true, numProc: 2, cacheFile: `${temporaryFolder()}/twice.jsonl` }
    const first = await numbers(3).map(moduleUrl('twice'), options)
    expect([...(await numbers(3).map(moduleUrl('twice'), options))]).toEqual([...first])
    expect(readFileSync(options.cacheFile, 'utf8').split('\n').length).toBe(8)
  })

  test('refuses a file that is something else, or damaged, and rows that no file can keep', async () => {
    const cacheFile = `${temporaryFolder()}/rows.jsonl`
    const run = (): Promise<string> => failureOf(numbers(2).map(row => row, { cacheFile }))
    const refused = `HEED_FILE_INVALID: ${cacheFile}: it is no cache of Dataset.map, or damaged. Remove it, or choose another cacheFile.`
    for (const content of ['', '{"text": "mine"}\n', 'not JSON']) {
      writeFileSync(cacheFile, content)
      expect(await run()).toBe(refused)
      expect(readFileSync(cacheFile, 'utf8')).toBe(content)
    }
    writeFileSync(cacheFile, '{"heedCache": "of another function", "numRows": 1}\n0\n')
    expect(await run()).toBe('none')
    const whole = readFileSync(cacheFile, 'utf8')
    writeFileSync(cacheFile, whole.slice(0, -2))
    expect(await run()).toBe(
      `HEED_FILE_INVALID: ${cacheFile}: it has 1 rows, expected 2. Remove it, or choose another cacheFile.`,
    )

    const cacheFolder = temporaryFolder()
    expect(await failureOf(numbers(1).map(() => ({ run: () => 1 }), { cacheFolder }))).toBe(
      'HEED_ARGUMENT_INVALID: Dataset.map: a row holds a function, expected what a file can keep: text, numbers, dates, lists, typed arrays and plain objects. Change the row, or leave out cacheFile and cacheFolder.',
    )
    expect(readdirSync(cacheFolder)).toEqual([])
    expect(await failureOf(numbers(1).map(Math.sqrt, { cacheFolder }))).toBe(
      'HEED_ARGUMENT_INVALID: Dataset.map: the function is bound or built in, expected one whose source can be seen since its rows are cached. Wrap it: row => ..., or give a newFingerprint.',
    )
  })
})

test('fingerprints are XXH64', () => {
  // Of Python's xxhash: xxh64(text + b'\0').
  expect(hashOf(['abc'])).toBe('fa5741489fa85bff')
  expect(hashOf([Array.from({ length: 1000 }, (_, i) => `${i},`).join('')])).toBe('48fdc6b1ea610823')
  expect(hashOf(['ab', 'c'])).not.toBe(hashOf(['abc']))
})
