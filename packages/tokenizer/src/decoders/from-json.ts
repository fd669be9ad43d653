import type { JsonObject } from '../json-object.ts'
import { parseByteLevel } from '../pre-tokenizers/from-json.ts'
import { ByteLevelDecoder } from './byte-level.ts'
import type { Decoder } from './decoder.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => Decoder>> = {
  ByteLevel: object => new ByteLevelDecoder(parseByteLevel(object)),
}

/** Throws HEED_CONFIG_INVALID. */
export function decoderFromJson(object: JsonObject): Decoder {
  const parse = parsers[object.string('type')]
  if (!parse) throw object.invalid('type', `one of ${Object.keys(parsers).join(', ')}`)
  return parse(object)
}
