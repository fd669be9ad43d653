import type { JsonObject } from '../json-object.ts'
import { parseByteLevel } from '../pre-tokenizers/from-json.ts'
import { BertPostProcessor, type SpecialTokenPair } from './bert.ts'
import { ByteLevelPostProcessor } from './byte-level.ts'
import type { PostProcessor } from './post-processor.ts'
import { RobertaPostProcessor } from './roberta.ts'
import { SequencePostProcessor } from './sequence.ts'
import { type TemplatePiece, TemplatePostProcessor, type TemplateToken } from './template.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => PostProcessor>> = {
  BertProcessing: object => new BertPostProcessor(parsePair(object, 'sep'), parsePair(object, 'cls')),
  ByteLevel: object => new ByteLevelPostProcessor(parseByteLevel(object)),
  RobertaProcessing: object =>
    new RobertaPostProcessor({
      sep: parsePair(object, 'sep'),
      cls: parsePair(object, 'cls'),
      trimOffsets: object.boolean('trim_offsets', true),
      addPrefixSpace: object.boolean('add_prefix_space', true),
    }),
  Sequence: object => new SequencePostProcessor(object.objects('processors').map(postProcessorFromJson)),
  TemplateProcessing: object =>
    new TemplatePostProcessor({
      single: object.objects('single').map(parsePiece),
      pair: object.objects('pair').map(parsePiece),
      specialTokens: parseSpecialTokens(object.object('special_tokens')),
    }),
}

/** Throws HEED_CONFIG_INVALID. */
export function postProcessorFromJson(object: JsonObject): PostProcessor {
  return parsers[object.choice('type', Object.keys(parsers))]!(object)
}

function parsePair(object: JsonObject, key: string): SpecialTokenPair {
  const [token, id] = object.array(key)
  if (typeof token === 'string' && typeof id === 'number') return [token, id]
  throw object.invalid(key, 'a token and its id')
}

function parsePiece(object: JsonObject): TemplatePiece {
  if (object.has('Sequence')) {
    const sequence = object.object('Sequence')
    return { Sequence: { id: sequence.choice('id', ['A', 'B'] as const), type_id: sequence.count('type_id') } }
  }
  const token = object.object('SpecialToken')
  return { SpecialToken: { id: token.string('id'), type_id: token.count('type_id') } }
}

function parseSpecialTokens(object: JsonObject): TemplateToken[] {
  return object.entries().map(([name]) => {
    const token = object.object(name)
    const ids = token.array('ids').filter(id => typeof id === 'number')
    const tokens = token.array('tokens').filter(text => typeof text === 'string')
    if (ids.length !== tokens.length || ids.length !== token.array('ids').length) {
      throw token.invalid('ids', 'one id for each of its tokens')
    }
    return { id: token.string('id'), ids, tokens }
  })
}
