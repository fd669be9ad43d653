import type { JsonObject } from '../json-object.ts'
import { parseByteLevel, parseCharacter, parseMetaspace, parsePattern } from '../pre-tokenizers/from-json.ts'
import { BpeDecoder } from './bpe.ts'
import { ByteFallbackDecoder } from './byte-fallback.ts'
import { ByteLevelDecoder } from './byte-level.ts'
import { CtcDecoder } from './ctc.ts'
import type { Decoder } from './decoder.ts'
import { FuseDecoder } from './fuse.ts'
import { MetaspaceDecoder } from './metaspace.ts'
import { ReplaceDecoder } from './replace.ts'
import { SequenceDecoder } from './sequence.ts'
import { StripDecoder } from './strip.ts'
import { WordPieceDecoder } from './wordpiece.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => Decoder>> = {
  BPEDecoder: object => new BpeDecoder(object.string('suffix')),
  ByteFallback: () => new ByteFallbackDecoder(),
  ByteLevel: object => new ByteLevelDecoder(parseByteLevel(object)),
  CTC: object =>
    new CtcDecoder(object.string('pad_token'), object.string('word_delimiter_token'), object.boolean('cleanup')),
  Fuse: () => new FuseDecoder(),
  Metaspace: object => new MetaspaceDecoder(parseMetaspace(object)),
  Replace: object => new ReplaceDecoder(parsePattern(object), object.string('content')),
  Sequence: object => new SequenceDecoder(object.objects('decoders').map(decoderFromJson)),
  Strip: object => new StripDecoder(parseCharacter(object, 'content'), object.count('start'), object.count('stop')),
  WordPiece: object => new WordPieceDecoder(object.string('prefix'), object.boolean('cleanup')),
}

/** Throws HEED_CONFIG_INVALID. */
export function decoderFromJson(object: JsonObject): Decoder {
  return parsers[object.choice('type', Object.keys(parsers))]!(object)
}
