import type { AddedToken } from '../added-tokens.ts'
import { checkOptions } from '../errors.ts'
import { BpeModel, type MergePair } from '../models/bpe.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { Vocabulary } from '../vocabulary.ts'
import { type Candidate, PairCounts } from './pair-counts.ts'
import {
  alphabetOf,
  checkCounts,
  completeSpecialTokens,
  countPieces,
  type TextSource,
  type TrainOptions,
  wrongModel,
} from './trainer.ts'
import { WordSymbols } from './word-symbols.ts'

export interface BpeTrainerOptions {
  /** Tokens to end with, special tokens and alphabet included. Default 30000. */
  readonly vocabSize?: number
  /** A pair seen less often is not merged. Default 0. */
  readonly minFrequency?: number
  /** They get the first ids. */
  readonly specialTokens?: readonly (string | AddedToken)[]
  /** Characters to include even if the texts lack them; `byteLevelAlphabet` for byte-level BPE. */
  readonly initialAlphabet?: Iterable<string>
  /** Most characters to keep of the alphabet, the most frequent; default all. */
  readonly limitAlphabet?: number
  readonly continuingSubwordPrefix?: string
  readonly endOfWordSuffix?: string
  /** Longest token in characters; default no limit. */
  readonly maxTokenLength?: number
  /** Of two pairs seen equally often, which merges first (negative: the first). Default that of lower ids, as HF. */
  readonly compareTies?: (a: MergePair, b: MergePair) => number
}

const optionNames: Readonly<Record<keyof BpeTrainerOptions, true>> = {
  vocabSize: true,
  minFrequency: true,
  specialTokens: true,
  initialAlphabet: true,
  limitAlphabet: true,
  continuingSubwordPrefix: true,
  endOfWordSuffix: true,
  maxTokenLength: true,
  compareTies: true,
}

/** The result of training: what a BPE model is made of. */
export interface TrainedBpe {
  readonly vocabulary: Vocabulary
  readonly merges: readonly MergePair[]
}

/** Merges between two progress reports. */
const REPORT_EVERY = 256

/**
 * Learns a BPE vocabulary: starting from characters, joins the most frequent pair of neighbours again and again.
 * Sennrich et al. 2016 (arXiv:1508.07909); same vocabulary and merges as `BpeTrainer` of HF tokenizers.
 */
export class BpeTrainer {
  readonly options: BpeTrainerOptions & { readonly vocabSize: number; readonly minFrequency: number }

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(options: BpeTrainerOptions = {}) {
    checkOptions('BpeTrainer', options, optionNames)
    this.options = { ...options, vocabSize: options.vocabSize ?? 30000, minFrequency: options.minFrequency ?? 0 }
    const { vocabSize, minFrequency, limitAlphabet, maxTokenLength } = this.options
    checkCounts('BpeTrainer', { vocabSize, minFrequency, limitAlphabet, maxTokenLength })
  }

  /** Replaces the tokenizer's model and adds the special tokens. Throws HEED_ARGUMENT_INVALID. */
  async train(tokenizer: Tokenizer, texts: TextSource, options: TrainOptions = {}): Promise<void> {
    const { model } = tokenizer
    if (!(model instanceof BpeModel)) throw wrongModel('BpeTrainer', 'BpeModel', model)
    const { vocabulary, merges } = this.learn(await countPieces(tokenizer, texts, options), options)
    tokenizer.model = new BpeModel({
      ...model.options,
      continuingSubwordPrefix: this.options.continuingSubwordPrefix ?? null,
      endOfWordSuffix: this.options.endOfWordSuffix ?? null,
      vocab: vocabulary,
      merges,
    })
    tokenizer.addTokens(completeSpecialTokens(this.options.specialTokens ?? []))
  }

  /** The vocabulary of words that occur so many times each. */
  learn(wordCounts: ReadonlyMap<string, number>, options: TrainOptions = {}): TrainedBpe {
    const { vocabSize, minFrequency, continuingSubwordPrefix: prefix, maxTokenLength = Infinity } = this.options
    const tokens: string[] = []
    const ids = new Map<string, number>()
    const idFor = (token: string): number => {
      let id = ids.get(token)
      if (id === undefined) {
        id = tokens.length
        ids.set(token, id)
        tokens.push(token)
      }
      return id
    }
    for (const { content } of completeSpecialTokens(this.options.specialTokens ?? [])) idFor(content)
    for (const character of this.alphabet(wordCounts)) idFor(character)
    const words = new WordSymbols(wordCounts, ids, idFor, this.options)

    const { compareTies } = this.options
    const tokensOf = ({ left, right }: Candidate): MergePair => [tokens[left]!, tokens[right]!]
    const pairs = new PairCounts(compareTies && ((a, b) => compareTies(tokensOf(a), tokensOf(b))))
    words.countPairs(pairs)
    pairs.queueNew()

    // A pair may be merged twice when two ways of building a token meet; the later rank is the one that counts.
    const ranks = new Map<string, number>()
    const merges: MergePair[] = []
    const lengths: number[] = []
    const lengthOf = (id: number) => lengths[id] ?? 1
    const stage = 'Compute merges'
    while (tokens.length < vocabSize) {
      const top = pairs.pop()
      if (!top || top.count < 1 || top.count < minFrequency) break
      const left = tokens[top.left]!
      const right = tokens[top.right]!
      const merged = idFor(left + (prefix && right.startsWith(prefix) ? right.slice(prefix.length) : right))
      lengths[merged] = lengthOf(top.left) + lengthOf(top.right)
      ranks.set(`${top.left} ${top.right}`, merges.length)
      merges.push([left, right])
      words.merge(top, merged, pairs, lengthOf, maxTokenLength)
      pairs.queueNew()
      if (merges.length % REPORT_EVERY === 0) options.onProgress?.({ stage, done: tokens.length, total: vocabSize })
    }
    options.onProgress?.({ stage, done: tokens.length, total: tokens.length })
    const isLast = new Set(ranks.values())
    return { vocabulary: Vocabulary.fromTokens(tokens), merges: merges.filter((_, rank) => isLast.has(rank)) }
  }

  /** The characters to start from, by ascending code point. */
  private alphabet(wordCounts: ReadonlyMap<string, number>): string[] {
    const { initialAlphabet = [], limitAlphabet = Infinity } = this.options
    const counts = new Map<string, number>()
    for (const [word, count] of wordCounts) {
      for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count)
    }
    for (const character of alphabetOf(initialAlphabet)) counts.set(character, Infinity)
    let kept = [...counts]
    if (kept.length > limitAlphabet) {
      kept.sort(([a, countA], [b, countB]) => countB - countA || a.codePointAt(0)! - b.codePointAt(0)!)
      kept = kept.slice(0, limitAlphabet)
    }
    return kept.map(([character]) => character).sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  }
}
