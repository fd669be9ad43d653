import { HeedError } from '../errors.ts'
import { unitsAt } from '../normalized-text.ts'
import { Vocabulary } from '../vocabulary.ts'
import { byteTokenIds } from './byte-tokens.ts'
import type { Model, PieceTokens } from './model.ts'
import { Trie } from './trie.ts'

export type ScoredToken = readonly [token: string, score: number]

export interface UnigramOptions {
  /** Tokens with their log probabilities; token i has id i. */
  readonly vocab?: readonly ScoredToken[]
  /** Index of the unknown token; null for none. Default 0. */
  readonly unkId?: number | null
  /** Whether unknown characters become tokens `<0x00>` to `<0xFF>` of their UTF-8 bytes. Default false. */
  readonly byteFallback?: boolean
}

/** How much worse than the worst token an unknown character is, as in SentencePiece. */
const UNKNOWN_PENALTY = 10

/** The most probable segmentation. Kudo 2018 (arXiv:1804.10959); same ids as `Unigram` of HF tokenizers. */
export class UnigramModel implements Model {
  readonly vocabulary: Vocabulary
  readonly vocab: readonly ScoredToken[]
  readonly unkId: number | null
  readonly byteFallback: boolean
  readonly isDeterministic = true
  private readonly trie = new Trie()
  private readonly scores: Float64Array
  private readonly unknownScore: number

  /** Throws HEED_CONFIG_INVALID. */
  constructor({ vocab = [['<unk>', 0]], unkId = 0, byteFallback = false }: UnigramOptions = {}) {
    if (unkId !== null && !(Number.isInteger(unkId) && unkId >= 0 && unkId < vocab.length)) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `UnigramModel: unk_id is ${unkId}, expected an index of its ${vocab.length} tokens. Correct it or set it to null.`,
      )
    }
    this.vocab = vocab
    this.unkId = unkId
    this.byteFallback = byteFallback
    this.vocabulary = Vocabulary.fromTokens(vocab.map(([token]) => token))
    this.scores = Float64Array.from(vocab, ([, score]) => score)
    for (const [id, [token]] of vocab.entries()) if (token !== '') this.trie.add(token, id)
    this.unknownScore = this.scores.reduce((least, score) => Math.min(least, score), Infinity) - UNKNOWN_PENALTY
  }

  /** Throws HEED_CONFIG_INVALID if a character is unknown and there is no unknown token. */
  tokenize(piece: string): PieceTokens {
    const { starts, isUnknown } = this.bestPath(piece)
    const ends: number[] = []
    for (let end = piece.length; end > 0; end = starts[end]!) {
      // Unknown characters next to each other make one token.
      const last = ends.length - 1
      if (last >= 0 && isUnknown[end] && isUnknown[ends[last]!]) starts[ends[last]!] = starts[end]!
      else ends.push(end)
    }
    const ids: number[] = []
    const spans: number[] = []
    const values: (string | undefined)[] = []
    for (const end of ends.reverse()) {
      const start = starts[end]!
      const text = piece.slice(start, end)
      const id = this.vocabulary.idOf(text)
      const bytes = id === undefined && this.byteFallback ? byteTokenIds(text, this.vocabulary) : undefined
      for (const tokenId of bytes ?? [id ?? this.unknownId()]) {
        if (id === undefined && !bytes) values[ids.length] = text
        ids.push(tokenId)
        spans.push(start, end)
      }
    }
    return values.length > 0 ? { ids, spans, values } : { ids, spans }
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Unigram', unk_id: this.unkId, vocab: this.vocab, byte_fallback: this.byteFallback }
  }

  /** Viterbi: for each end, where the last token of the best segmentation up to it starts. */
  private bestPath(text: string): { starts: Int32Array; isUnknown: Uint8Array } {
    const { trie, scores } = this
    const size = text.length
    const best = new Float64Array(size + 1)
    const starts = new Int32Array(size + 1).fill(-1)
    const isUnknown = new Uint8Array(size + 1)
    const offer = (start: number, end: number, score: number, unknown: number) => {
      if (starts[end]! >= 0 && score <= best[end]!) return
      best[end] = score
      starts[end] = start
      isUnknown[end] = unknown
    }
    for (let start = 0; start < size; ) {
      const next = start + unitsAt(text, start)
      const soFar = best[start]!
      let hasSingle = false
      let node = 0
      for (let i = start; i < size; i++) {
        node = trie.step(node, text.charCodeAt(i))
        if (node < 0) break
        const id = trie.valueAt(node)
        if (id < 0) continue
        offer(start, i + 1, scores[id]! + soFar, id === this.unkId ? 1 : 0)
        if (i + 1 === next) hasSingle = true
      }
      if (!hasSingle) offer(start, next, this.unknownScore + soFar, 1)
      start = next
    }
    return { starts, isUnknown }
  }

  private unknownId(): number {
    if (this.unkId !== null) return this.unkId
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      'UnigramModel: unk_id is null, expected an unknown token, since a character is unknown. Set unk_id.',
    )
  }
}
