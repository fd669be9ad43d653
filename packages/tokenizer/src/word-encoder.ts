import { DeferredColumns, type EncodingColumns, joinIds, TextSource, type TokenValues } from './encoding-columns.ts'
import { BertNormalizer } from './normalizers/bert.ts'
import type { Normalizer } from './normalizers/normalizer.ts'
import type { PieceEncoder } from './piece-encoder.ts'
import type { PreTokenizedText } from './pre-tokenized-text.ts'
import { BertPreTokenizer } from './pre-tokenizers/bert.ts'
import type { PreTokenizer } from './pre-tokenizers/pre-tokenizer.ts'
import { TextMemory } from './text-memory.ts'

/** What one word of the raw text became; spans and piece numbers count from its start. */
interface WordTokens {
  readonly ids: readonly number[]
  readonly spans: readonly number[]
  readonly pieceOfToken: readonly number[]
  readonly pieceCount: number
  readonly values: TokenValues
}

// What a UTF-16 unit is.
const notYetKnown = 0
const inWord = 1
const space = 2
const alone = 3

/**
 * Encodes the words of a raw text one by one and remembers them: a word that was met before is neither normalized nor cut
 * again. BERT's normalizer and pre-tokenizer allow it: white space only parts words, and signs and Chinese characters are
 * pieces of their own, so nothing that becomes of a word hangs on the words around it.
 */
export class WordEncoder {
  private readonly words = new TextMemory<WordTokens>(word => this.tokensOf(word))
  private readonly characters: (WordTokens | undefined)[] = []
  private readonly kinds = new Uint8Array(0x10000)

  private constructor(
    private readonly isChineseAlone: boolean,
    private readonly pieces: PieceEncoder,
    private readonly cut: (word: string) => PreTokenizedText,
  ) {}

  /** An encoder for a pipeline that works word by word, or null. `cut` takes a word to the pieces that the model gets. */
  static of(
    normalizer: Normalizer | null,
    preTokenizer: PreTokenizer | null,
    pieces: PieceEncoder,
    cut: (word: string) => PreTokenizedText,
  ): WordEncoder | null {
    if (!(normalizer instanceof BertNormalizer && preTokenizer instanceof BertPreTokenizer)) return null
    return new WordEncoder(normalizer.options.handleChineseChars, pieces, cut)
  }

  /** The columns of a text without lone surrogates. Offsets are UTF-16 units. */
  encode(text: string, typeId: number, wordId?: number): EncodingColumns {
    const found: WordTokens[] = []
    const starts: number[] = []
    let start = 0
    for (let i = 0; i <= text.length; i++) {
      const kind = i < text.length ? this.kindOf(text.charCodeAt(i)) : space
      if (kind === inWord) continue
      if (start < i) {
        found.push(this.words.of(text.slice(start, i)))
        starts.push(start)
      }
      if (kind === alone) {
        found.push(this.characterTokens(text.charCodeAt(i)))
        starts.push(i)
      }
      start = i + 1
    }
    const ids = joinIds(found)
    return new DeferredColumns(ids, new WordSource(found, ids.length, typeId, starts, wordId))
  }

  private kindOf(unit: number): number {
    const known = this.kinds[unit]!
    if (known !== notYetKnown) return known
    const character = String.fromCharCode(unit)
    const isAlone = sign.test(character) || (this.isChineseAlone && chinese.test(character))
    const kind = wordSpace.test(character) ? space : isAlone ? alone : inWord
    this.kinds[unit] = kind
    return kind
  }

  private characterTokens(unit: number): WordTokens {
    this.characters[unit] ??= this.tokensOf(String.fromCharCode(unit))
    return this.characters[unit]
  }

  private tokensOf(word: string): WordTokens {
    const cut = this.cut(word)
    const { ids, spans, words, values } = this.pieces.encode(cut, 0)
    return { ids, spans, pieceOfToken: words, pieceCount: cut.pieceCount, values }
  }
}

/** Columns from words and the tokens that each became. */
class WordSource extends TextSource<WordTokens> {
  constructor(
    found: readonly WordTokens[],
    length: number,
    typeId: number,
    private readonly starts: readonly number[],
    private readonly wordId: number | undefined,
  ) {
    super(found, length, typeId)
  }

  spans(): readonly number[] {
    const spans = new Array<number>(2 * this.length)
    let at = 0
    for (const [w, word] of this.runs.entries()) {
      for (const position of word.spans) spans[at++] = this.starts[w]! + position
    }
    return spans
  }

  words(): readonly number[] {
    const words = new Array<number>(this.length)
    let at = 0
    let pieces = 0
    for (const word of this.runs) {
      for (const piece of word.pieceOfToken) words[at++] = this.wordId ?? pieces + piece
      pieces += word.pieceCount
    }
    return words
  }
}

/** White space that is no control character, which the normalizer would drop. */
const wordSpace = /[\t\n\r]|(?!\p{Cc})\p{White_Space}/u
const sign = /[\p{P}$+<=>^`|~]/u
const chinese = /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff]/u
