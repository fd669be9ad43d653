import type { AddedToken } from '../added-tokens.ts'
import { checkOptions, HeedError } from '../errors.ts'
import { type ScoredToken, UnigramModel } from '../models/unigram.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { compareByCodePoints } from './code-points.ts'
import {
  alphabetOf,
  checkCounts,
  completeSpecialTokens,
  countPieces,
  type TextSource,
  type TrainOptions,
  wrongModel,
} from './trainer.ts'
import { UnigramLattice } from './unigram-lattice.ts'
import { seedPieces } from './unigram-seeds.ts'

export interface UnigramTrainerOptions {
  /** Tokens to end with, special tokens included. Default 8000. */
  readonly vocabSize?: number
  /** They get the first ids. */
  readonly specialTokens?: readonly (string | AddedToken)[]
  /** Characters to include even if the texts lack them. */
  readonly initialAlphabet?: Iterable<string>
  /** The unknown token; put first if it is not among the special tokens. Default none. */
  readonly unkToken?: string | null
  /** Longest piece in characters. Default 16. */
  readonly maxPieceLength?: number
  /** Pieces to start from. Default 1,000,000. */
  readonly seedSize?: number
  /** The part of the pieces that each pruning keeps. Default 0.75. */
  readonly shrinkingFactor?: number
  /** Rounds of expectation and maximization between prunings. Default 2. */
  readonly numSubIterations?: number
}

const optionNames: Readonly<Record<keyof UnigramTrainerOptions, true>> = {
  vocabSize: true,
  specialTokens: true,
  initialAlphabet: true,
  unkToken: true,
  maxPieceLength: true,
  seedSize: true,
  shrinkingFactor: true,
  numSubIterations: true,
}

type Words = readonly (readonly [word: string, count: number])[]

const defaults = {
  vocabSize: 8000,
  specialTokens: [],
  initialAlphabet: [],
  unkToken: null,
  maxPieceLength: 16,
  seedSize: 1_000_000,
  shrinkingFactor: 0.75,
  numSubIterations: 2,
}

/** A piece expected less often than this is dropped. */
const LEAST_EXPECTED = 0.5

/** Between the scores of characters that no piece covers, so that their order is settled. */
const SCORE_STEP = 0.0001

/**
 * Learns a Unigram vocabulary: starting from many substrings, estimates their probabilities by expectation maximization
 * and drops those whose loss costs least. Kudo 2018 (arXiv:1804.10959), section 3.2; same pieces and scores as
 * `UnigramTrainer` of HF tokenizers up to the last digits, which HF leaves to chance.
 */
export class UnigramTrainer {
  readonly options: Required<UnigramTrainerOptions>

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(options: UnigramTrainerOptions = {}) {
    checkOptions('UnigramTrainer', options, optionNames)
    this.options = { ...defaults, ...options }
    const { vocabSize, maxPieceLength, seedSize, numSubIterations, shrinkingFactor } = this.options
    checkCounts('UnigramTrainer', { vocabSize, maxPieceLength, seedSize, numSubIterations })
    if (!(shrinkingFactor > 0 && shrinkingFactor < 1)) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `UnigramTrainer: shrinkingFactor is ${shrinkingFactor}, expected a number between 0 and 1. Correct the option.`,
      )
    }
  }

  /** Replaces the tokenizer's model and adds the special tokens. Throws HEED_ARGUMENT_INVALID. */
  async train(tokenizer: Tokenizer, texts: TextSource, options: TrainOptions = {}): Promise<void> {
    const { model } = tokenizer
    if (!(model instanceof UnigramModel)) throw wrongModel('UnigramTrainer', 'UnigramModel', model)
    const counts = await countPieces(tokenizer, texts, options)
    tokenizer.model = this.learn([...counts], options)
    tokenizer.addTokens(completeSpecialTokens(this.options.specialTokens))
  }

  /** The model of words that occur so many times each. Throws HEED_ARGUMENT_INVALID. */
  learn(words: Words, options: TrainOptions = {}): UnigramModel {
    const { vocabSize, maxPieceLength, seedSize, numSubIterations, shrinkingFactor } = this.options
    const required = this.requiredCharacters(words)
    if (required.length > vocabSize) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `UnigramTrainer: vocabSize is ${vocabSize}, expected at least the ${required.length} characters of the texts. Raise it.`,
      )
    }
    const enough = Math.floor((vocabSize * 11) / 10)
    let pieces: ScoredToken[] = [['<UNK>', Number.NaN], ...seedPieces(words, maxPieceLength, seedSize)]
    const rounds = Math.max(0, Math.ceil(Math.log(enough / pieces.length) / Math.log(shrinkingFactor))) + 1
    const total = rounds * numSubIterations
    const stage = 'EM training'
    for (let done = 0; ; ) {
      for (let i = 0; i < numSubIterations; i++) {
        pieces = reestimate(pieces, words)
        done++
        options.onProgress?.({ stage, done, total: Math.max(total, done) })
      }
      if (pieces.length <= enough) break
      const kept = prune(pieces, words, Math.max(enough, Math.floor(pieces.length * shrinkingFactor)))
      const isStuck = kept.length === pieces.length
      pieces = kept
      if (isStuck) break
    }
    return this.finish(pieces, required)
  }

  /** By descending code point: of those without a piece, the lower gets the better score. */
  private requiredCharacters(words: Words): string[] {
    const characters = new Set(alphabetOf(this.options.initialAlphabet))
    for (const [word] of words) for (const character of word) characters.add(character)
    return [...characters].sort((a, b) => compareByCodePoints(b, a))
  }

  private finish(pieces: readonly ScoredToken[], required: readonly string[]): UnigramModel {
    const { unkToken, vocabSize } = this.options
    const specials = completeSpecialTokens(this.options.specialTokens).map(({ content }) => content)
    const unkIndex = unkToken === null ? -1 : specials.indexOf(unkToken)
    if (unkToken !== null && unkIndex < 0) specials.unshift(unkToken)
    const scores = new Map(pieces.slice(1))
    let lowest = Infinity
    for (const score of scores.values()) if (score < lowest) lowest = score
    const chosen = new Map<string, number>()
    for (const character of required) {
      const score = scores.get(character)
      chosen.set(character, score ?? lowest)
      if (score === undefined) lowest += SCORE_STEP
    }
    for (const [piece, score] of scores) {
      if (chosen.size >= vocabSize - specials.length) break
      if (!chosen.has(piece)) chosen.set(piece, score)
    }
    const sorted = [...chosen].sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || compareByCodePoints(a, b))
    const vocab: ScoredToken[] = [...specials.map((token): ScoredToken => [token, 0]), ...sorted]
    return new UnigramModel({ vocab, unkId: unkToken === null ? null : Math.max(unkIndex, 0) })
  }
}

/** One round of expectation and (Bayesian) maximization, without the pieces that it makes too rare. */
function reestimate(pieces: readonly ScoredToken[], words: Words): ScoredToken[] {
  const lattice = new UnigramLattice(pieces)
  const expected = new Float64Array(pieces.length)
  for (const [word, count] of words) lattice.addExpected(word, count, expected)
  let sum = 0
  const kept: number[] = []
  for (let id = 1; id < pieces.length; id++) {
    if (expected[id]! < LEAST_EXPECTED) continue
    kept.push(id)
    sum += expected[id]!
  }
  const logSum = digamma(sum)
  return [pieces[0]!, ...kept.map((id): ScoredToken => [pieces[id]![0], digamma(expected[id]!) - logSum])]
}

/** The pieces whose removal would cost the likelihood of the words most, about `size` of them. */
function prune(pieces: readonly ScoredToken[], words: Words, size: number): ScoredToken[] {
  const lattice = new UnigramLattice(pieces)
  const frequencies = new Float64Array(pieces.length)
  let wordCount = 0
  for (const [word, count] of words) {
    wordCount += count
    for (const id of lattice.bestTwo(word)[0]) frequencies[id]! += count
  }
  const sum = frequencies.reduce((total, frequency) => total + frequency, 0)
  const kept: ScoredToken[] = [pieces[0]!]
  const candidates: (readonly [id: number, loss: number])[] = []
  for (let id = 1; id < pieces.length; id++) {
    const frequency = frequencies[id]!
    const [best, second] = lattice.bestTwo(pieces[id]![0])
    const isKept = !second || best.length === 1
    const alternatives = second && best.length === 1 ? second : []
    if (frequency === 0 && !isKept) continue
    if (alternatives.length === 0) kept.push(pieces[id]!)
    else if (frequency > 0) {
      // Without the piece, its occurrences would be cut the second best way. SentencePiece and HF count the tokens that
      // this adds as if there were an alternative for every piece, which keeps frequent pieces.
      const logSumWithout = Math.log(sum + frequency * (pieces.length - 1))
      let logProbability = 0
      for (const other of alternatives) logProbability += Math.log(frequencies[other]! + frequency) - logSumWithout
      const loss = (frequency / wordCount) * (Math.log(frequency) - Math.log(sum) - logProbability)
      candidates.push([id, loss])
    }
  }
  candidates.sort(([, a], [, b]) => b - a)
  for (const [id] of candidates) {
    if (kept.length === size) break
    kept.push(pieces[id]!)
  }
  return kept
}

/** The derivative of log gamma, by recurrence up to 7 and its asymptotic series from there on. */
function digamma(value: number): number {
  let x = value
  let result = 0
  for (; x < 7; x++) result -= 1 / x
  x -= 0.5
  const xx = 1 / x
  const xx2 = xx * xx
  const xx4 = xx2 * xx2
  return result + Math.log(x) + xx2 / 24 - (7 / 960) * xx4 + (31 / 8064) * xx4 * xx2 - (127 / 30720) * xx4 * xx4
}
