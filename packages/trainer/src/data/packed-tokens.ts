import { checkOptionNames, HeedError } from '@heed/tensor-backend'
import { checkIndex, checkNumber, namesOf } from '../checks.ts'
import type { IndexedDataset } from './sources.ts'

export type TokenArray = Uint16Array | Uint32Array | Int32Array

export interface PackedTokensOptions {
  /** Tokens in an example. */
  blockSize: number
  /** From one example's start to the next: `blockSize` (default) cuts the text up, 1 gives every window of it. */
  stride?: number
  bytesPerToken?: number
  /** What messages call the tokens: a file's name. */
  name?: string
}

const packingOptions = namesOf<PackedTokensOptions>({ blockSize: true, stride: true, bytesPerToken: true, name: true })

/** A text as token ids. */
export interface TokenExample {
  inputIds: ArrayLike<number>
  /** 0 and 1 for the first and the second text of a pair. */
  tokenTypeIds?: ArrayLike<number>
  /** 0 where a position is padding; all 1 when absent. */
  attentionMask?: ArrayLike<number>
  /** The ids to learn, -100 where there is none. */
  labels?: ArrayLike<number>
}

/** A long text as token ids, cut into blocks of equal length; a rest shorter than a block is left out. */
export class PackedTokens implements IndexedDataset<TokenExample> {
  readonly tokens: TokenArray
  readonly blockSize: number
  readonly stride: number
  readonly bytesPerToken?: number
  readonly length: number

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(tokens: TokenArray, options: PackedTokensOptions) {
    checkOptionNames('PackedTokens', options, packingOptions)
    const { blockSize, stride = blockSize, bytesPerToken, name = 'PackedTokens' } = options
    checkNumber(name, 'blockSize', blockSize, { min: 2, isInteger: true })
    checkNumber(name, 'stride', stride, { min: 1, isInteger: true })
    if (tokens.length < blockSize) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `${name}: the text has ${tokens.length} tokens, expected at least blockSize (${blockSize}). ` +
          'Give more text or a smaller blockSize.',
      )
    }
    this.tokens = tokens
    this.blockSize = blockSize
    this.stride = stride
    if (bytesPerToken !== undefined) this.bytesPerToken = bytesPerToken
    this.length = Math.floor((tokens.length - blockSize) / stride) + 1
  }

  /** A view of the tokens, not a copy. Throws HEED_ID_OUT_OF_RANGE. */
  get(index: number): TokenExample {
    checkIndex('PackedTokens', index, this.length)
    const start = index * this.stride
    return { inputIds: this.tokens.subarray(start, start + this.blockSize) }
  }
}

/** Ids in the smallest array that holds a vocabulary of that size. */
export function tokenArray(ids: ArrayLike<number>, vocabSize: number): TokenArray {
  return vocabSize <= 2 ** 16 ? Uint16Array.from(ids) : Int32Array.from(ids)
}
