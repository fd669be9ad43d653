import { HeedError } from '../errors.ts'
import type { ImportedTokenizer } from './imported-tokenizer.ts'
import { type PieceModel, type PieceOptions, tokenizerOfPieces, type VocabularyPiece } from './piece-model.ts'
import { protobufFields } from './protobuf.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Message by field number; a field that comes again replaces the one before. */
type Fields = ReadonlyMap<number, number | Uint8Array>

function fieldsOf(bytes: Uint8Array, where: string): Fields {
  const fields = new Map<number, number | Uint8Array>()
  for (const { number, value } of protobufFields(bytes, where)) fields.set(number, value)
  return fields
}

function numberOf(fields: Fields, key: number, fallback: number): number {
  const value = fields.get(key)
  return typeof value === 'number' ? value : fallback
}

function textOf(bytes: number | Uint8Array | undefined, where: string): string {
  try {
    return bytes instanceof Uint8Array ? utf8.decode(bytes) : ''
  } catch (cause) {
    throw new HeedError('HEED_FILE_INVALID', `${where}: a piece is not valid UTF-8. Fetch the file again.`, { cause })
  }
}

function pieceOf(bytes: Uint8Array, where: string): VocabularyPiece {
  const fields = fieldsOf(bytes, where)
  return { text: textOf(fields.get(1), where), score: numberOf(fields, 2, 0), type: numberOf(fields, 3, 1) }
}

/** A SentencePiece `.model`: fields by their numbers in `sentencepiece_model.proto`. Throws HEED_FILE_INVALID. */
export function readSentencePiece(bytes: Uint8Array, where = 'tokenizer.model'): PieceModel {
  const pieces: VocabularyPiece[] = []
  let trainer: Fields = new Map()
  let normalizer: Fields = new Map()
  for (const { number, value } of protobufFields(bytes, where)) {
    if (!(value instanceof Uint8Array)) continue
    if (number === 1) pieces.push(pieceOf(value, where))
    else if (number === 2) trainer = fieldsOf(value, where)
    else if (number === 3) normalizer = fieldsOf(value, where)
  }
  const modelType = numberOf(trainer, 3, 1)
  const algorithm = ({ 1: 'unigram', 2: 'bpe', 4: 'bpe' } as const)[modelType]
  if (!algorithm || pieces.length === 0) {
    const reason = algorithm ? 'has no pieces' : `is of model type ${modelType}`
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${where}: it ${reason}, expected a Unigram, BPE or character model of SentencePiece. Check the file.`,
    )
  }
  const charsmap = normalizer.get(2)
  return {
    algorithm,
    pieces,
    unkId: numberOf(trainer, 40, 0),
    bosId: numberOf(trainer, 41, 1),
    eosId: numberOf(trainer, 42, 2),
    padId: numberOf(trainer, 43, -1),
    byteFallback: numberOf(trainer, 35, 0) !== 0,
    charsmap: charsmap instanceof Uint8Array ? charsmap : new Uint8Array(),
    addsDummyPrefix: numberOf(normalizer, 3, 1) !== 0,
    removesExtraSpaces: numberOf(normalizer, 4, 1) !== 0,
    whitespaceIsSuffix: numberOf(trainer, 24, 0) !== 0,
  }
}

/**
 * The tokenizer of a SentencePiece `.model` (Unigram, BPE or character): same ids as SentencePiece itself, but that
 * control pieces such as `<s>` are found in texts, as HF does.
 * Throws HEED_FILE_INVALID, HEED_CONFIG_INVALID.
 */
export function importSentencePiece(bytes: Uint8Array, options: PieceOptions = {}): ImportedTokenizer {
  return tokenizerOfPieces(readSentencePiece(bytes), options, 'tokenizer.model')
}
