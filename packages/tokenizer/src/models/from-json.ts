import { HeedError } from '../errors.ts'
import type { JsonObject } from '../json-object.ts'
import { BpeModel, type MergePair } from './bpe.ts'
import type { Model } from './model.ts'
import { type ScoredToken, UnigramModel } from './unigram.ts'
import { WordLevelModel } from './word-level.ts'
import { WordPieceModel } from './wordpiece.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => Model>> = {
  BPE: parseBpe,
  Unigram: parseUnigram,
  WordLevel: object => new WordLevelModel({ vocab: parseVocab(object), unkToken: object.string('unk_token') }),
  WordPiece: object =>
    new WordPieceModel({
      vocab: parseVocab(object),
      unkToken: object.string('unk_token', '[UNK]'),
      continuingSubwordPrefix: object.string('continuing_subword_prefix', '##'),
      maxInputCharsPerWord: object.count('max_input_chars_per_word', 100),
    }),
}

/** Throws HEED_CONFIG_INVALID. */
export function modelFromJson(object: JsonObject): Model {
  const type = object.has('type') ? object.choice('type', Object.keys(parsers)) : guessType(object)
  return parsers[type]!(object)
}

/** Files from before models had a type are told by their keys. */
function guessType(object: JsonObject): string {
  if (object.has('merges')) return 'BPE'
  if (object.has('max_input_chars_per_word')) return 'WordPiece'
  return Array.isArray(object.get('vocab')) ? 'Unigram' : 'WordLevel'
}

function parseVocab(object: JsonObject): Record<string, number> {
  // Vocabulary checks each id; here only that there is an object.
  return Object.fromEntries(object.object('vocab').entries()) as Record<string, number>
}

function parseBpe(object: JsonObject): BpeModel {
  return new BpeModel({
    vocab: parseVocab(object),
    merges: object.array('merges').map((merge, rank) => parseMerge(merge, rank, object.where)),
    dropout: object.has('dropout') ? object.number('dropout') : null,
    unkToken: object.optionalString('unk_token'),
    continuingSubwordPrefix: object.optionalString('continuing_subword_prefix'),
    endOfWordSuffix: object.optionalString('end_of_word_suffix'),
    fuseUnk: object.boolean('fuse_unk', false),
    byteFallback: object.boolean('byte_fallback', false),
    ignoreMerges: object.boolean('ignore_merges', false),
  })
}

/** A merge is `["a", "b"]` or, in older files, `"a b"`. Throws HEED_CONFIG_INVALID. */
export function parseMerge(merge: unknown, rank: number, where: string): MergePair {
  const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge
  if (Array.isArray(parts) && parts.length === 2) {
    const [left, right]: unknown[] = parts
    if (typeof left === 'string' && typeof right === 'string') return [left, right]
  }
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${where}: merge ${rank} is ${JSON.stringify(merge)}, expected two tokens. Correct the file.`,
  )
}

function parseUnigram(object: JsonObject): UnigramModel {
  const vocab = object.array('vocab').map((entry, id): ScoredToken => {
    const [token, score]: unknown[] = Array.isArray(entry) ? entry : []
    if (typeof token === 'string' && typeof score === 'number') return [token, score]
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${object.where}: vocab[${id}] is ${JSON.stringify(entry)}, expected a token and its score. Correct the file.`,
    )
  })
  return new UnigramModel({
    vocab,
    unkId: object.has('unk_id') ? object.count('unk_id') : null,
    byteFallback: object.boolean('byte_fallback', false),
  })
}
