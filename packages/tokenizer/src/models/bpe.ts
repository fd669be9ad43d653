import { HeedError } from '../errors.ts'
import { unitsAt } from '../normalized-text.ts'
import { TextMemory } from '../text-memory.ts'
import type { Vocabulary } from '../vocabulary.ts'
import { byteTokenIds, byteTokens } from './byte-tokens.ts'
import { MergeBoundaries } from './merge-boundaries.ts'
import { type Merges, mergeWord, mergeWordWithDropout, type Word } from './merge-word.ts'
import type { Model, PieceTokens } from './model.ts'
import { PairTable } from './pair-table.ts'
import { toVocabulary, unknownId, type VocabInput } from './word-level.ts'

export type MergePair = readonly [left: string, right: string]

export interface BpeOptions {
  readonly vocab?: VocabInput
  readonly merges?: readonly MergePair[]
  /** Probability of leaving a merge out, for training on varied segmentations; null for none. */
  readonly dropout?: number | null
  readonly unkToken?: string | null
  /** Put before each symbol that does not begin a word, as `##`. */
  readonly continuingSubwordPrefix?: string | null
  /** Put after the last symbol of a word, as `</w>`. */
  readonly endOfWordSuffix?: string | null
  /** Whether neighbouring unknown characters become one unknown token. */
  readonly fuseUnk?: boolean
  /** Whether unknown characters become tokens `<0x00>` to `<0xFF>` of their UTF-8 bytes. */
  readonly byteFallback?: boolean
  /** Whether a piece that is a token is taken whole. */
  readonly ignoreMerges?: boolean
  /** Random numbers in [0, 1) for dropout. */
  readonly random?: () => number
}

/** A longer piece is looked through for places to cut it. */
const LONGEST_WHOLE = 24

/** Byte pair encoding. Sennrich et al. 2016 (arXiv:1508.07909); same ids as `BPE` of HF tokenizers. */
export class BpeModel implements Model {
  readonly vocabulary: Vocabulary
  readonly merges: readonly MergePair[]
  readonly options: Required<Omit<BpeOptions, 'vocab' | 'merges'>>
  private readonly mergeTable: Merges
  /** Id of each one-unit token by its UTF-16 unit, -1 for none; asked for each character of each new word. */
  private readonly unitIds = new Int32Array(0x10000).fill(-1)

  private boundaries: MergeBoundaries | undefined
  /** Parts of long pieces that were met before. */
  private readonly parts = new TextMemory<Word>(part => this.mergeWhole(part))
  /** Whether a symbol's text is the text it stands for, without a prefix or suffix. */
  private readonly isSeparable: boolean
  /** Whether every unknown character can be spelled in tokens of bytes. */
  private readonly spellsUnknown: boolean

  /** Throws HEED_CONFIG_INVALID. */
  constructor(options: BpeOptions = {}) {
    const { vocab = {}, merges = [], ...rest } = options
    this.options = {
      dropout: rest.dropout ?? null,
      unkToken: rest.unkToken ?? null,
      continuingSubwordPrefix: rest.continuingSubwordPrefix ?? null,
      endOfWordSuffix: rest.endOfWordSuffix ?? null,
      fuseUnk: rest.fuseUnk ?? false,
      byteFallback: rest.byteFallback ?? false,
      ignoreMerges: rest.ignoreMerges ?? false,
      random: rest.random ?? Math.random,
    }
    const { dropout } = this.options
    if (dropout !== null && !(dropout >= 0 && dropout <= 1)) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `BpeModel: dropout is ${dropout}, expected a number from 0 to 1. Set it to null for none.`,
      )
    }
    this.vocabulary = toVocabulary(vocab, 'BpeModel')
    this.merges = merges
    this.mergeTable = this.compileMerges()
    this.isSeparable = this.options.continuingSubwordPrefix === null && this.options.endOfWordSuffix === null
    this.spellsUnknown =
      this.options.byteFallback && byteTokens.every(token => this.vocabulary.idOf(token) !== undefined)
    for (const [token, id] of this.vocabulary.entries()) if (token.length === 1) this.unitIds[token.charCodeAt(0)] = id
  }

  get isDeterministic(): boolean {
    return !this.options.dropout
  }

  /** Throws HEED_CONFIG_INVALID if a character is unknown and unkToken is not in the vocabulary. */
  tokenize(piece: string): PieceTokens {
    if (this.options.ignoreMerges) {
      const id = this.vocabulary.idOf(piece)
      if (id !== undefined) return { ids: [id], spans: [0, piece.length] }
    }
    const { dropout, random } = this.options
    if (dropout) {
      const word = this.symbolsOf(piece)
      mergeWordWithDropout(word, this.mergeTable, dropout, random)
      return word
    }
    return piece.length > LONGEST_WHOLE && this.isSeparable ? this.mergeInParts(piece) : this.mergeWhole(piece)
  }

  toJSON(): Record<string, unknown> {
    const { options } = this
    return {
      type: 'BPE',
      dropout: options.dropout,
      unk_token: options.unkToken,
      continuing_subword_prefix: options.continuingSubwordPrefix,
      end_of_word_suffix: options.endOfWordSuffix,
      fuse_unk: options.fuseUnk,
      byte_fallback: options.byteFallback,
      ignore_merges: options.ignoreMerges,
      vocab: this.vocabulary.toJSON(),
      merges: this.merges,
    }
  }

  private mergeWhole(piece: string): Word {
    const word = this.symbolsOf(piece)
    mergeWord(word, this.mergeTable)
    return word
  }

  /** Cut where no merge reaches across, each part merged on its own or remembered. */
  private mergeInParts(piece: string): Word {
    this.boundaries ??= new MergeBoundaries(this.merges)
    const { boundaries } = this
    const areUnknownAlone = this.spellsUnknown && boundaries.areBytesAlone
    const ids: number[] = []
    const spans: number[] = []
    let start = 0
    let left = piece.charCodeAt(0)
    for (let i = 1; i <= piece.length; i++) {
      const right = piece.charCodeAt(i)
      const isCut =
        i === piece.length ||
        (!boundaries.mayJoin(left, right) &&
          (areUnknownAlone || (this.unitIds[left]! >= 0 && this.unitIds[right]! >= 0)))
      left = right
      if (!isCut) continue
      const part = this.parts.of(piece.slice(start, i))
      for (const id of part.ids) ids.push(id)
      for (const position of part.spans) spans.push(start + position)
      start = i
    }
    return { ids, spans }
  }

  private symbolsOf(piece: string): Word {
    const { continuingSubwordPrefix, endOfWordSuffix } = this.options
    const ids: number[] = []
    const spans: number[] = []
    let isUnknownOpen = false
    for (let i = 0; i < piece.length; ) {
      const units = unitsAt(piece, i)
      const end = i + units
      const isDecorated =
        (continuingSubwordPrefix !== null && i > 0) || (endOfWordSuffix !== null && end === piece.length)
      let id: number
      if (units === 1 && !isDecorated) id = this.unitIds[piece.charCodeAt(i)]!
      else id = this.vocabulary.idOf(this.symbolText(piece, i, end)) ?? -1
      if (id >= 0) {
        ids.push(id)
        spans.push(i, end)
        isUnknownOpen = false
      } else if (!this.pushBytes(piece, i, end, ids, spans) && this.options.unkToken !== null) {
        if (isUnknownOpen && this.options.fuseUnk) spans[spans.length - 1] = end
        else {
          ids.push(unknownId(this.vocabulary, this.options.unkToken, 'BpeModel'))
          spans.push(i, end)
        }
        isUnknownOpen = true
      }
      i = end
    }
    return { ids, spans }
  }

  private symbolText(piece: string, start: number, end: number): string {
    const { continuingSubwordPrefix, endOfWordSuffix } = this.options
    const prefix = start > 0 ? (continuingSubwordPrefix ?? '') : ''
    const suffix = end === piece.length ? (endOfWordSuffix ?? '') : ''
    return prefix + piece.slice(start, end) + suffix
  }

  private pushBytes(piece: string, start: number, end: number, ids: number[], spans: number[]): boolean {
    if (!this.options.byteFallback) return false
    const byteIds = byteTokenIds(this.symbolText(piece, start, end), this.vocabulary)
    if (!byteIds) return false
    for (const id of byteIds) {
      ids.push(id)
      spans.push(start, end)
    }
    return true
  }

  private compileMerges(): Merges {
    const ranks = new PairTable(this.merges.length)
    const results = new Int32Array(this.merges.length)
    const prefixLength = this.options.continuingSubwordPrefix?.length ?? 0
    for (const [rank, [left, right]] of this.merges.entries()) {
      const leftId = this.mergedId(left, rank)
      const rightId = this.mergedId(right, rank)
      results[rank] = this.mergedId(left + right.slice(prefixLength), rank)
      ranks.set(leftId, rightId, rank)
    }
    return { ranks, results }
  }

  private mergedId(token: string, rank: number): number {
    const id = this.vocabulary.idOf(token)
    if (id !== undefined) return id
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `BpeModel: merge ${rank} (${this.merges[rank]!.join(' ')}) needs the token ${JSON.stringify(token)}, ` +
        'expected it in the vocabulary. Add the token or remove the merge.',
    )
  }
}
