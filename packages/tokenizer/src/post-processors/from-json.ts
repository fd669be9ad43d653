import type { JsonObject } from '../json-object.ts'
import { parseByteLevel } from '../pre-tokenizers/from-json.ts'
import { ByteLevelPostProcessor } from './byte-level.ts'
import type { PostProcessor } from './post-processor.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => PostProcessor>> = {
  ByteLevel: object => new ByteLevelPostProcessor(parseByteLevel(object)),
}

/** Throws HEED_CONFIG_INVALID. */
export function postProcessorFromJson(object: JsonObject): PostProcessor {
  const parse = parsers[object.string('type')]
  if (!parse) throw object.invalid('type', `one of ${Object.keys(parsers).join(', ')}`)
  return parse(object)
}
