import { HeedError } from '../errors.ts'
import { addedTokenRow, type ImportedTokenizer, surroundingTemplate, templateProcessing } from './imported-tokenizer.ts'

/** SentencePiece's types of pieces. */
export const pieceTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

export interface VocabularyPiece {
  readonly text: string
  readonly score: number
  /** One of `pieceTypes`. */
  readonly type: number
}

/** A vocabulary of pieces over `▁`-marked text, as SentencePiece and GGUF files hold it. An id of -1 means none. */
export interface PieceModel {
  readonly algorithm: 'bpe' | 'unigram'
  readonly pieces: readonly VocabularyPiece[]
  readonly unkId: number
  readonly bosId: number
  readonly eosId: number
  readonly padId: number
  readonly byteFallback: boolean
  /** The compiled character map of the normalizer, empty for none. */
  readonly charsmap: Uint8Array
  readonly addsDummyPrefix: boolean
  readonly removesExtraSpaces: boolean
  readonly whitespaceIsSuffix: boolean
}

export interface PieceOptions {
  /** Whether encode puts the token of the beginning before a text. Default false. */
  readonly addBosToken?: boolean
  /** Whether encode puts the token of the end behind a text. Default false. */
  readonly addEosToken?: boolean
  /** `<extra_id_N>` sentinels that T5 has behind the pieces. Default 0. */
  readonly extraIds?: number
  /** XLNet's own steps around the pieces: quotes, accents, digits with commas, `<sep>` and `<cls>` at the end. */
  readonly isXlnet?: boolean
}

const SPACE = '\u2581'

/** The tokenizer that gives the ids of SentencePiece for such a vocabulary. Throws HEED_CONFIG_INVALID. */
export function tokenizerOfPieces(model: PieceModel, options: PieceOptions, where: string): ImportedTokenizer {
  checkPieces(model, where)
  const extra = Array.from(
    { length: options.extraIds ?? 0 },
    (_, i, count = options.extraIds ?? 0) => `<extra_id_${count - 1 - i}>`,
  )
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [
        ...addedPieces(model),
        ...extra.map((content, i) => addedTokenRow(model.pieces.length + i, content)),
      ],
      normalizer: normalizerOf(model, options),
      pre_tokenizer: preTokenizerOf(model),
      post_processor: postProcessorOf(model, options),
      decoder: decoderOf(model),
      model: model.algorithm === 'bpe' ? bpeOf(model) : unigramOf(model, options, extra),
    },
    config: {
      ...named('unk_token', model, model.unkId),
      ...named('bos_token', model, model.bosId),
      ...named('eos_token', model, model.eosId),
      ...named('pad_token', model, model.padId),
    },
  }
}

function checkPieces({ pieces, unkId }: PieceModel, where: string): void {
  const ids = new Map<string, number>()
  for (const [id, { text }] of pieces.entries()) {
    const other = ids.get(text)
    if (other !== undefined) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `${where}: pieces ${other} and ${id} are both ${JSON.stringify(text)}, expected each piece once. Correct the file.`,
      )
    }
    ids.set(text, id)
  }
  if (!pieces[unkId]) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${where}: unk_id is ${unkId}, expected the id of a piece (0 to ${pieces.length - 1}). Correct the file.`,
    )
  }
}

function named(key: string, { pieces }: PieceModel, id: number): Record<string, string> {
  const piece = pieces[id]
  return piece ? { [key]: piece.text } : {}
}

function tokenAt({ pieces }: PieceModel, id: number): { content: string; id: number } | undefined {
  const piece = pieces[id]
  return piece && { content: piece.text, id }
}

/** Unigram finds user-defined pieces by their score of 0, which keeps the spaces around them as SentencePiece does. */
function addedPieces({ algorithm, pieces }: PieceModel): unknown[] {
  return pieces.flatMap(({ text, type }, id) => {
    if (type === pieceTypes.unknown || type === pieceTypes.control) return [addedTokenRow(id, text)]
    if (type === pieceTypes.userDefined && algorithm === 'bpe') return [addedTokenRow(id, text, { special: false })]
    return []
  })
}

function replace(pattern: Record<string, string>, content: string): Record<string, unknown> {
  return { type: 'Replace', pattern, content }
}

function normalizerOf(model: PieceModel, { isXlnet = false }: PieceOptions): Record<string, unknown> {
  const normalizers: Record<string, unknown>[] = []
  if (isXlnet) {
    normalizers.push(
      replace({ String: '``' }, '"'),
      replace({ String: "''" }, '"'),
      { type: 'NFKD' },
      { type: 'StripAccents' },
    )
  }
  if (model.charsmap.length > 0)
    normalizers.push({ type: 'Precompiled', precompiled_charsmap: toBase64(model.charsmap) })
  if (model.removesExtraSpaces)
    normalizers.push(replace({ Regex: '\\A +|[ \u2581]+\\z' }, ''), replace({ Regex: ' {2,}' }, ' '))
  if (model.addsDummyPrefix && !model.whitespaceIsSuffix) normalizers.push({ type: 'Prepend', prepend: SPACE })
  if (model.addsDummyPrefix && model.whitespaceIsSuffix) normalizers.push(replace({ Regex: '(?<=[\\s\\S])\\z' }, SPACE))
  normalizers.push(replace({ String: ' ' }, SPACE))
  return { type: 'Sequence', normalizers }
}

/** Cutting before each `▁` makes words short, and changes nothing where no piece goes on past one. */
function preTokenizerOf({ pieces, whitespaceIsSuffix }: PieceModel): Record<string, unknown> | null {
  if (whitespaceIsSuffix || pieces.some(({ text, type }) => type === pieceTypes.normal && text.includes(SPACE, 1)))
    return null
  return { type: 'Split', pattern: { String: SPACE }, behavior: 'MergedWithNext', invert: false }
}

function decoderOf({ byteFallback, addsDummyPrefix, whitespaceIsSuffix }: PieceModel): Record<string, unknown> {
  return {
    type: 'Sequence',
    decoders: [
      replace({ String: SPACE }, ' '),
      ...(byteFallback ? [{ type: 'ByteFallback' }] : []),
      { type: 'Fuse' },
      ...(addsDummyPrefix && !whitespaceIsSuffix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
    ],
  }
}

function postProcessorOf(model: PieceModel, options: PieceOptions): Record<string, unknown> | null {
  if (!options.isXlnet) {
    const bos = options.addBosToken ? tokenAt(model, model.bosId) : undefined
    return surroundingTemplate(bos, options.addEosToken ? tokenAt(model, model.eosId) : undefined)
  }
  const [sep, cls] = ['<sep>', '<cls>'].map(text =>
    tokenAt(
      model,
      model.pieces.findIndex(piece => piece.text === text),
    ),
  )
  if (!sep || !cls) return null
  const end = [cls, 2] as const
  return templateProcessing([['A', 0], [sep, 0], end], [['A', 0], [sep, 0], ['B', 1], [sep, 1], end])
}

function bpeOf(model: PieceModel): Record<string, unknown> {
  return {
    type: 'BPE',
    dropout: null,
    unk_token: model.pieces[model.unkId]!.text,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: model.byteFallback,
    ignore_merges: false,
    vocab: Object.fromEntries(model.pieces.map(({ text }, id) => [text, id])),
    merges: mergesOf(model.pieces),
  }
}

/** Every way of joining two pieces into a third, the best score first: what SentencePiece tries, written as merges. */
function mergesOf(pieces: readonly VocabularyPiece[]): [string, string][] {
  const { normal, userDefined, unused } = pieceTypes
  const joined = pieces.filter(({ type }) => type === normal || type === userDefined || type === unused)
  const texts = new Set(joined.map(({ text }) => text))
  const merges: [string, string][] = []
  for (const { text } of joined.sort((a, b) => b.score - a.score)) {
    for (let i = 1; i < text.length; i++) {
      const left = text.slice(0, i)
      if (texts.has(left) && texts.has(text.slice(i))) merges.push([left, text.slice(i)])
    }
  }
  return merges
}

/** XLNet's original code cuts a comma off digits; HF makes such pieces unlikely instead (`XLNetConverter`). */
const isDigitsWithComma = /\d,$/

function unigramOf(
  { pieces, unkId, byteFallback }: PieceModel,
  { isXlnet = false }: PieceOptions,
  extra: readonly string[],
): Record<string, unknown> {
  const scored = pieces.map(({ text, score }) => [text, isXlnet && isDigitsWithComma.test(text) ? score - 100 : score])
  return {
    type: 'Unigram',
    unk_id: unkId,
    vocab: [...scored, ...extra.map(text => [text, 0])],
    byte_fallback: byteFallback,
  }
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(binary)
}
