import type { JsonObject } from '../json-object.ts'
import { type ByteLevelOptions, ByteLevelPreTokenizer } from './byte-level.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => PreTokenizer>> = {
  ByteLevel: object => new ByteLevelPreTokenizer(parseByteLevel(object)),
}

/** Throws HEED_CONFIG_INVALID. */
export function preTokenizerFromJson(object: JsonObject): PreTokenizer {
  const parse = parsers[object.string('type')]
  if (!parse) throw object.invalid('type', `one of ${Object.keys(parsers).join(', ')}`)
  return parse(object)
}

/** The options of the three parts that HF calls ByteLevel. */
export function parseByteLevel(object: JsonObject): Required<ByteLevelOptions> {
  return {
    addPrefixSpace: object.boolean('add_prefix_space'),
    trimOffsets: object.boolean('trim_offsets'),
    useRegex: object.boolean('use_regex', true),
  }
}
