import { checkOptionNames, HeedError, ifFound, readText, writeFilesAtomic } from '@heed/tensor-backend'
import { mapByThreads } from '#threads'
import { checkNumber, namesOf, show } from '../checks.ts'
import { readLines } from './read-rows.ts'
import { rowFromText, rowToText } from './row-text.ts'
import { Xxh64 } from './xxh64.ts'

/** What a function that changes rows is called with, HF's names in camelCase. */
export interface BatchOptions<Args = unknown> {
  /** True when the function takes a list of rows and gives any number of rows. */
  batched?: boolean
  /** Rows of a batch; 1000 by default. */
  batchSize?: number
  /** Given to the function as its last argument. */
  fnKwargs?: Args
}

export interface MapOptions<Args = unknown> extends BatchOptions<Args> {
  /** Threads that share the rows; 1 by default. More need the URL of a module, whose default export is the function. */
  numProc?: number
  /**
   * Where the rows are kept: the next time, the same rows, function and `fnKwargs` have them from there. Of a function only
   * its own source text is compared, and of a module only its own file. A variable that the function closes over, a helper
   * that it calls, or a module or file that it reads may change unnoticed, and the old rows come back. Put such values, or a
   * version of them, into `fnKwargs`, or give a `newFingerprint`.
   */
  cacheFile?: string
  /** As `cacheFile`, with a file for each function and rows. */
  cacheFolder?: string
  /**
   * What tells the result from others, in the place of the hash of rows, function and `fnKwargs`: whoever gives it changes
   * it when one of them changes. At most 64 letters, digits, `_`, `-` and `.`; HF's `new_fingerprint`.
   */
  newFingerprint?: string
}

const batchNames = { batched: true, batchSize: true, fnKwargs: true } as const
export const batchOptions: readonly string[] = namesOf<BatchOptions>(batchNames)
const mapOptions = namesOf<MapOptions>({
  ...batchNames,
  ...{ numProc: true, cacheFile: true, cacheFolder: true, newFingerprint: true },
})

/** A row for a row. */
export type RowFunction<T, U, Args> = (row: T, index: number, fnKwargs: Args) => U | Promise<U>
/** Any number of rows for a batch of rows. */
export type BatchFunction<T, U, Args> = (rows: T[], indices: number[], fnKwargs: Args) => U[] | Promise<U[]>
export type AnyMapFunction = (...given: never[]) => unknown

/** Some rows that follow each other, for one call of a batched function, or some calls of another. */
export interface MapJob {
  rows: unknown[]
  indices: number[]
}

/** How the rows of jobs are changed. */
export interface MapCall {
  batched: boolean
  fnKwargs: unknown
}

const where = 'Dataset.map'

export interface SourceRows {
  rows: Iterable<unknown>
  length: number
  fingerprint(): string
}

/** Rows changed by a function or by the one that a module has as its default export; from the cache if they are there. */
export async function mapRows(
  source: SourceRows,
  change: AnyMapFunction | URL,
  options: MapOptions,
): Promise<{ rows: unknown[]; fingerprint: string | undefined }> {
  checkOptionNames(where, options, mapOptions)
  const { batched = false, batchSize = 1000, fnKwargs, numProc = 1, cacheFile, cacheFolder, newFingerprint } = options
  checkNumber(where, 'batchSize', batchSize, { min: 1, isInteger: true })
  checkNumber(where, 'numProc', numProc, { min: 1, isInteger: true })
  if (newFingerprint !== undefined && !/^[\w.-]{1,64}$/.test(newFingerprint)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${where}: newFingerprint is ${show(newFingerprint)}, expected 1 to 64 letters, digits, "_", "-" and ".", as it is part of a file's name.`,
    )
  }
  if (numProc > 1 && !(change instanceof URL)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${where}: numProc is ${numProc}, expected 1 for a function of this program. Put it into a module as its default export, and give the module's URL.`,
    )
  }
  const call = { batched, fnKwargs }
  // Rows of a function that is not batched go to threads in as many jobs as keep all of them busy.
  const jobSize = batched ? batchSize : Math.min(1000, Math.ceil(source.length / (4 * numProc)))
  const compute = async (): Promise<unknown[]> => {
    if (numProc === 1) return mapHere(jobsOf(source, jobSize), change, call)
    const jobs = [...jobsOf(source, jobSize)]
    const results = await mapByThreads(jobs, (change as URL).href, call, Math.min(numProc, jobs.length))
    return results.flatMap(batchOf)
  }
  if (cacheFile === undefined && cacheFolder === undefined) {
    return { rows: await compute(), fingerprint: newFingerprint }
  }
  const settings = (): string => rowToText([batched, batched ? batchSize : null, fnKwargs ?? null])
  const fingerprint = newFingerprint ?? hashOf([source.fingerprint(), await sourceOf(change), settings()])
  const file = cacheFile ?? `${cacheFolder}/cache-${fingerprint}.jsonl`
  const cached = await readCache(file, fingerprint)
  if (cached) return { rows: cached, fingerprint }
  const rows = await compute()
  await writeCache(file, fingerprint, rows)
  return { rows, fingerprint }
}

function* jobsOf({ rows, length }: SourceRows, batchSize: number): Generator<MapJob> {
  const iterator = rows[Symbol.iterator]()
  for (let start = 0; start < length; start += batchSize) {
    const size = Math.min(batchSize, length - start)
    const indices = Array.from({ length: size }, (_, i) => start + i)
    yield { rows: indices.map(() => iterator.next().value), indices }
  }
}

async function mapHere(
  jobs: Iterable<MapJob>,
  change: AnyMapFunction | URL,
  { batched, fnKwargs }: MapCall,
): Promise<unknown[]> {
  const results: unknown[] = []
  const run = (change instanceof URL ? await functionOf(change) : change) as (...given: unknown[]) => unknown
  for (const { rows, indices } of jobs) {
    if (batched) for (const row of batchOf(await run(rows, indices, fnKwargs))) results.push(row)
    else for (const [i, row] of rows.entries()) results.push(await run(row, indices[i], fnKwargs))
  }
  return results
}

async function functionOf(url: URL): Promise<unknown> {
  const { default: change } = await import(/* @vite-ignore */ url.href)
  if (typeof change === 'function') return change
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: the default export of ${url.href} is ${show(change)}, expected the function that changes rows.`,
  )
}

/** What a batched function gave. Throws HEED_ARGUMENT_INVALID when it is no list. */
export function batchOf(result: unknown): unknown[] {
  if (Array.isArray(result)) return result
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: the function gave ${show(result)} for a batch, expected a list of rows.`,
  )
}

/** The source of a function or a module. Throws HEED_ARGUMENT_INVALID when it cannot be seen. */
async function sourceOf(change: AnyMapFunction | URL): Promise<string> {
  if (change instanceof URL) return readText(change)
  const source = change.toString()
  if (!source.includes('[native code]')) return source
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: the function is bound or built in, expected one whose source can be seen since its rows are cached. Wrap it: row => ..., or give a newFingerprint.`,
  )
}

/** A number of 16 hexadecimal digits that tells texts apart: XXH64, as HF's fingerprints. */
export function hashOf(texts: Iterable<string>): string {
  const hash = new Xxh64()
  const encoder = new TextEncoder()
  // A zero between them: ['ab'] is not ['a', 'b'].
  for (const text of texts) hash.update(encoder.encode(`${text}\0`))
  return hash.digest().toString(16).padStart(16, '0')
}

interface CacheHeader {
  heedCache: string
  numRows: number
}

/** The rows of a cache file, if it is there and of this fingerprint. Throws HEED_FILE_INVALID when it is something else, or damaged. */
async function readCache(file: string, fingerprint: string): Promise<unknown[] | undefined> {
  const lines = readLines(file)
  const invalid = (reason: string, cause?: unknown): HeedError =>
    new HeedError('HEED_FILE_INVALID', `${file}: ${reason}. Remove it, or choose another cacheFile.`, { cause })
  const first = await ifFound(() => lines.next())
  if (!first) return undefined
  let header: Partial<CacheHeader> | undefined
  const rows: unknown[] = []
  try {
    header = JSON.parse(first.value?.[0] ?? '') as Partial<CacheHeader>
    if (typeof header?.heedCache === 'string' && header.heedCache !== fingerprint) return undefined
    for await (const [line] of lines) rows.push(rowFromText(line))
  } catch (cause) {
    throw invalid('it is no cache of Dataset.map, or damaged', cause)
  } finally {
    await lines.return(undefined)
  }
  if (typeof header?.heedCache !== 'string') throw invalid('it is no cache of Dataset.map, or damaged')
  if (rows.length === header.numRows) return rows
  throw invalid(`it has ${rows.length} rows, expected ${header.numRows}`)
}

/** Bytes written at a time, roughly. */
const chunkLength = 2 ** 20

async function writeCache(file: string, fingerprint: string, rows: readonly unknown[]): Promise<void> {
  const encoder = new TextEncoder()
  await writeFilesAtomic([
    {
      path: file,
      content: async write => {
        let text = `${JSON.stringify({ heedCache: fingerprint, numRows: rows.length } satisfies CacheHeader)}\n`
        for (const row of rows) {
          text += `${rowToText(row)}\n`
          if (text.length < chunkLength) continue
          await write(encoder.encode(text))
          text = ''
        }
        await write(encoder.encode(text))
      },
    },
  ])
}
