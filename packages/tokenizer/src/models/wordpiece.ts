import { unitsAt } from '../normalized-text.ts'
import type { Vocabulary } from '../vocabulary.ts'
import type { Model, PieceTokens } from './model.ts'
import { Trie } from './trie.ts'
import { toVocabulary, unknownId, type VocabInput } from './word-level.ts'

export interface WordPieceOptions {
  readonly vocab?: VocabInput
  /** Default `[UNK]`. */
  readonly unkToken?: string
  /** Marks tokens inside a word. Default `##`. */
  readonly continuingSubwordPrefix?: string
  /** A longer word, in code points, is unknown. Default 100. */
  readonly maxInputCharsPerWord?: number
}

/** The longest token that fits, again and again. Devlin et al. 2018; same ids as `WordPiece` of HF tokenizers. */
export class WordPieceModel implements Model {
  readonly vocabulary: Vocabulary
  readonly options: Required<Omit<WordPieceOptions, 'vocab'>>
  readonly isDeterministic = true
  private readonly trie = new Trie()
  /** Where in the trie tokens inside a word begin: behind the prefix. -1 if there is none. */
  private readonly continuation: number

  /** Throws HEED_CONFIG_INVALID. */
  constructor({ vocab = {}, ...options }: WordPieceOptions = {}) {
    this.vocabulary = toVocabulary(vocab, 'WordPieceModel')
    this.options = {
      unkToken: options.unkToken ?? '[UNK]',
      continuingSubwordPrefix: options.continuingSubwordPrefix ?? '##',
      maxInputCharsPerWord: options.maxInputCharsPerWord ?? 100,
    }
    for (const [token, id] of this.vocabulary.entries()) this.trie.add(token, id)
    this.continuation = this.trie.nodeOf(this.options.continuingSubwordPrefix)
  }

  /** Throws HEED_CONFIG_INVALID if the piece is unknown and unkToken is not in the vocabulary. */
  tokenize(piece: string): PieceTokens {
    const ids: number[] = []
    const spans: number[] = []
    let isKnown = countCharacters(piece, this.options.maxInputCharsPerWord) <= this.options.maxInputCharsPerWord
    for (let start = 0; isKnown && start < piece.length; ) {
      let node = start === 0 ? 0 : this.continuation
      let id = -1
      let end = start
      for (let i = start; node >= 0 && i < piece.length; i++) {
        node = this.trie.step(node, piece.charCodeAt(i))
        if (node >= 0 && this.trie.valueAt(node) >= 0) {
          id = this.trie.valueAt(node)
          end = i + 1
        }
      }
      isKnown = id >= 0
      ids.push(id)
      spans.push(start, end)
      start = end
    }
    if (isKnown) return { ids, spans }
    return { ids: [unknownId(this.vocabulary, this.options.unkToken, 'WordPieceModel')], spans: [0, piece.length] }
  }

  toJSON(): Record<string, unknown> {
    const { options } = this
    return {
      type: 'WordPiece',
      unk_token: options.unkToken,
      continuing_subword_prefix: options.continuingSubwordPrefix,
      max_input_chars_per_word: options.maxInputCharsPerWord,
      vocab: this.vocabulary.toJSON(),
    }
  }
}

/** Code points of a text, or some number above `limit` as soon as that is sure. */
function countCharacters(text: string, limit: number): number {
  let count = 0
  for (let i = 0; i < text.length && count <= limit; i += unitsAt(text, i)) count++
  return count
}
