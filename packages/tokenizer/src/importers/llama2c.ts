import { HeedError } from '../errors.ts'
import type { ImportedTokenizer } from './imported-tokenizer.ts'
import { pieceTypes, tokenizerOfPieces, type VocabularyPiece } from './piece-model.ts'

/** Ids that llama2.c's run.c has built in. */
const [UNK, BOS, EOS, FIRST_BYTE] = [0, 1, 2, 3]
const names: Readonly<Record<number, string>> = { [UNK]: '<unk>', [BOS]: '<s>', [EOS]: '</s>' }
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The tokenizer of llama2.c's tokenizer.bin: the longest length (uint32), then for each token its score (float32),
 * length (uint32) and bytes. Same ids as `encode` of karpathy/llama2.c. Throws HEED_FILE_INVALID, HEED_CONFIG_INVALID.
 */
export function importLlama2c(bytes: Uint8Array): ImportedTokenizer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const pieces: VocabularyPiece[] = []
  for (let position = 4; position < bytes.length; ) {
    const length = position + 8 <= bytes.length ? view.getUint32(position + 4, true) : Infinity
    const end = position + 8 + length
    if (end > bytes.length) throw broken(pieces.length, position)
    pieces.push(pieceOf(pieces.length, view.getFloat32(position, true), bytes.subarray(position + 8, end), position))
    position = end
  }
  if (pieces.length <= FIRST_BYTE + 256) throw broken(pieces.length, bytes.length)
  return tokenizerOfPieces(
    {
      algorithm: 'bpe',
      pieces,
      unkId: UNK,
      bosId: BOS,
      eosId: EOS,
      padId: -1,
      byteFallback: true,
      charsmap: new Uint8Array(),
      addsDummyPrefix: true,
      removesExtraSpaces: false,
      whitespaceIsSuffix: false,
    },
    { addBosToken: true },
    'tokenizer.bin',
  )
}

function pieceOf(id: number, score: number, bytes: Uint8Array, position: number): VocabularyPiece {
  const name = names[id]
  if (name !== undefined) return { text: name, score, type: id === UNK ? pieceTypes.unknown : pieceTypes.control }
  try {
    const text = utf8.decode(bytes).replaceAll(' ', '\u2581')
    return { text, score, type: id < FIRST_BYTE + 256 ? pieceTypes.byte : pieceTypes.normal }
  } catch {
    throw broken(id, position)
  }
}

function broken(id: number, position: number): HeedError {
  return new HeedError(
    'HEED_FILE_INVALID',
    `tokenizer.bin: token ${id} at byte ${position} is missing or cut off, expected a score, a length and UTF-8 text. ` +
      'Export the file again.',
  )
}
