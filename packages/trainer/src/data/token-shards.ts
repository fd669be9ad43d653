import {
  type ByteSource,
  checkOptionNames,
  HeedError,
  openByteSource,
  parseStrictJson,
  readText,
  writeFileAtomic,
} from '@heed/tensor-backend'
import { folders } from '#folder'
import { checkIndex, checkNumber, namesOf, show } from '../checks.ts'
import type { PackedTokensOptions, TokenExample } from './packed-tokens.ts'
import type { IndexedDataset } from './sources.ts'

/** Ids of a piece of a corpus, and the bytes of text that they stand for. */
export interface TokenPiece {
  ids: Uint16Array | Uint32Array
  numBytes: number
}

/** What `token-shards.json` says. It is written last: a folder that has it is complete. */
export interface ShardIndex {
  /** Little-endian; uint16 where the vocabulary allows it. */
  dtype: 'uint16' | 'uint32'
  vocabSize: number
  numTokens: number
  /** Of the text in UTF-8. */
  numBytes: number
  shards: { file: string; numTokens: number }[]
}

const indexFile = 'token-shards.json'
const shardName = /^tokens-(\d+)\.bin$/
const idBytes = { uint16: 2, uint32: 4 }
/** Tokens in a shard: 64 MB of them at most are in memory while it is made. */
const shardTokens = 2 ** 24

/** Whether a folder has been prepared by `writeTokenShards`. */
export async function isTokenShards(folder: string): Promise<boolean> {
  return (await folders.list(folder).catch((): string[] => [])).includes(indexFile)
}

/**
 * Writes a tokenised corpus of any length to a folder, a shard at a time; a corpus that was there stays whole until the new one
 * is. Throws HEED_IO, also when the disk is full, HEED_FILE_INVALID when there are no tokens, and HEED_ID_OUT_OF_RANGE.
 */
export async function writeTokenShards(
  folder: string,
  pieces: AsyncIterable<TokenPiece> | Iterable<TokenPiece>,
  options: { vocabSize: number; maxShardTokens?: number },
): Promise<ShardIndex> {
  checkOptionNames('writeTokenShards', options, ['vocabSize', 'maxShardTokens'])
  const { vocabSize, maxShardTokens = shardTokens } = options
  checkNumber('writeTokenShards', 'vocabSize', vocabSize, { min: 1, isInteger: true })
  checkNumber('writeTokenShards', 'maxShardTokens', maxShardTokens, { min: 1, isInteger: true })
  const isSmall = vocabSize <= 2 ** 16
  const index: ShardIndex = { dtype: isSmall ? 'uint16' : 'uint32', vocabSize, numTokens: 0, numBytes: 0, shards: [] }
  const buffer = isSmall ? new Uint16Array(maxShardTokens) : new Uint32Array(maxShardTokens)
  await folders.make(folder)
  const before = (await folders.list(folder)).filter(name => shardName.test(name))
  let number = Math.max(-1, ...before.map(name => Number(shardName.exec(name)![1])))
  let filled = 0
  const flush = async (): Promise<void> => {
    number += 1
    const file = `tokens-${String(number).padStart(5, '0')}.bin`
    await writeFileAtomic(`${folder}/${file}`, new Uint8Array(buffer.buffer, 0, filled * buffer.BYTES_PER_ELEMENT))
    index.shards.push({ file, numTokens: filled })
    filled = 0
  }
  const remove = async (files: readonly string[]): Promise<void> => {
    for (const file of files) await folders.remove(`${folder}/${file}`)
  }
  try {
    for await (const { ids, numBytes } of pieces) {
      const wrong = isSmall ? ids.find(id => id >= 2 ** 16) : undefined
      if (wrong !== undefined) {
        throw new HeedError(
          'HEED_ID_OUT_OF_RANGE',
          `writeTokenShards: an id is ${wrong}, expected 0 to 65535 since vocabSize is ${vocabSize}. Give the highest id and 1 as vocabSize.`,
        )
      }
      index.numBytes += numBytes
      index.numTokens += ids.length
      for (let from = 0; from < ids.length; ) {
        const part = ids.subarray(from, from + maxShardTokens - filled)
        buffer.set(part, filled)
        filled += part.length
        from += part.length
        if (filled === maxShardTokens) await flush()
      }
    }
    if (filled > 0) await flush()
    if (index.numTokens === 0) {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${folder}: there are no tokens to write, expected text in the files. Check that they are not empty.`,
      )
    }
    await writeFileAtomic(`${folder}/${indexFile}`, `${JSON.stringify(index, null, 2)}\n`)
  } catch (error) {
    await remove(index.shards.map(({ file }) => file))
    throw error
  }
  await remove(before)
  return index
}

export interface TokenShardsOptions extends Pick<PackedTokensOptions, 'blockSize' | 'stride'> {
  /** The tokens taken, all by default: a part for training, the rest for validation. */
  start?: number
  end?: number
}

const shardsOptions = namesOf<TokenShardsOptions>({ blockSize: true, stride: true, start: true, end: true })

/**
 * Blocks of a corpus that stays on the disk: each is read from its place when it is asked for, so that a corpus takes no
 * memory whatever its length (what is read again comes from the system's page cache).
 */
export class TokenShards implements IndexedDataset<TokenExample> {
  readonly length: number
  readonly bytesPerToken: number
  readonly #starts: number[]

  private constructor(
    readonly index: ShardIndex,
    readonly blockSize: number,
    readonly stride: number,
    readonly start: number,
    end: number,
    readonly sources: readonly ByteSource[],
  ) {
    this.length = Math.floor((end - start - blockSize) / stride) + 1
    this.bytesPerToken = index.numBytes / index.numTokens
    this.#starts = [0]
    for (const { numTokens } of index.shards) this.#starts.push(this.#starts.at(-1)! + numTokens)
  }

  /** Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_ARGUMENT_INVALID when a part is not there or shorter than a block. */
  static async open(folder: string, options: TokenShardsOptions): Promise<TokenShards> {
    checkOptionNames('TokenShards', options, shardsOptions)
    const file = `${folder}/${indexFile}`
    const index = checkedIndex(parseStrictJson(await readText(file), file), file)
    const { blockSize, stride = blockSize, start = 0, end = index.numTokens } = options
    checkNumber('TokenShards', 'blockSize', blockSize, { min: 2, isInteger: true })
    checkNumber('TokenShards', 'stride', stride, { min: 1, isInteger: true })
    checkNumber('TokenShards', 'start', start, { min: 0, isInteger: true })
    checkNumber('TokenShards', 'end', end, { min: 0, max: index.numTokens, isInteger: true })
    if (end - start < blockSize) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `${folder}: the part has ${end - start} tokens, expected at least blockSize (${blockSize}). Prepare more text, or take a smaller blockSize.`,
      )
    }
    return new TokenShards(index, blockSize, stride, start, end, await openShards(folder, index))
  }

  /** Throws HEED_ID_OUT_OF_RANGE, HEED_IO. */
  async get(index: number): Promise<TokenExample> {
    checkIndex('TokenShards', index, this.length)
    const width = idBytes[this.index.dtype]
    const inputIds = new Int32Array(this.blockSize)
    let from = this.start + index * this.stride
    for (let filled = 0; filled < this.blockSize; ) {
      const shard = this.#starts.findLastIndex(start => start <= from)
      const left = this.#starts[shard + 1]! - from
      const count = Math.min(this.blockSize - filled, left)
      const { buffer, byteOffset } = await this.sources[shard]!.read(
        (from - this.#starts[shard]!) * width,
        count * width,
      )
      const view = new DataView(buffer, byteOffset)
      for (let i = 0; i < count; i++) {
        inputIds[filled + i] = width === 2 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true)
      }
      filled += count
      from += count
    }
    return { inputIds }
  }

  async close(): Promise<void> {
    await Promise.all(this.sources.map(source => source.close()))
  }
}

/** The files of the shards, all or none. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID. */
async function openShards(folder: string, { dtype, shards }: ShardIndex): Promise<ByteSource[]> {
  const sources: ByteSource[] = []
  try {
    for (const { file, numTokens } of shards) {
      const source = await openByteSource(`${folder}/${file}`)
      sources.push(source)
      const expected = numTokens * idBytes[dtype]
      if (source.byteLength === expected) continue
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${source.name}: it has ${source.byteLength} bytes, expected ${expected}. Prepare the corpus again.`,
      )
    }
    return sources
  } catch (error) {
    await Promise.all(sources.map(source => source.close()))
    throw error
  }
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isShard = (value: unknown): boolean => {
  const { file, numTokens } = (value ?? {}) as Partial<ShardIndex['shards'][number]>
  return typeof file === 'string' && isCount(numTokens)
}

/** Throws HEED_FILE_INVALID. */
function checkedIndex(json: unknown, file: string): ShardIndex {
  const index = (json ?? {}) as ShardIndex
  const { dtype, numTokens, numBytes, shards } = index
  const rules = [
    ['dtype', dtype, '"uint16" or "uint32"', typeof dtype === 'string' && Object.hasOwn(idBytes, dtype)],
    ['numTokens', numTokens, 'a whole number', isCount(numTokens)],
    ['numBytes', numBytes, 'a whole number', isCount(numBytes)],
    ['shards', shards, 'a list of { file, numTokens }', Array.isArray(shards) && shards.every(isShard)],
  ] as const
  for (const [name, value, rule, holds] of rules) {
    if (holds) continue
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${file}: ${name} is ${show(value)}, expected ${rule}. Prepare the corpus again.`,
    )
  }
  return index
}
