import type { JsonObject } from '../json-object.ts'
import { parsePattern } from '../pre-tokenizers/from-json.ts'
import { BertNormalizer } from './bert.ts'
import { ByteLevelNormalizer } from './byte-level.ts'
import { LowercaseNormalizer } from './lowercase.ts'
import { NmtNormalizer } from './nmt.ts'
import type { Normalizer } from './normalizer.ts'
import { PrecompiledNormalizer } from './precompiled.ts'
import { AppendNormalizer, PrependNormalizer } from './prepend.ts'
import { ReplaceNormalizer } from './replace.ts'
import { SequenceNormalizer } from './sequence.ts'
import { StripAccentsNormalizer, StripNormalizer } from './strip.ts'
import { UnicodeNormalizer } from './unicode.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => Normalizer>> = {
  Append: object => new AppendNormalizer(object.string('append')),
  BertNormalizer: object =>
    new BertNormalizer({
      cleanText: object.boolean('clean_text', true),
      handleChineseChars: object.boolean('handle_chinese_chars', true),
      stripAccents: object.has('strip_accents') ? object.boolean('strip_accents') : null,
      lowercase: object.boolean('lowercase', true),
    }),
  ByteLevel: () => new ByteLevelNormalizer(),
  Lowercase: () => new LowercaseNormalizer(),
  NFC: () => new UnicodeNormalizer('NFC'),
  NFD: () => new UnicodeNormalizer('NFD'),
  NFKC: () => new UnicodeNormalizer('NFKC'),
  NFKD: () => new UnicodeNormalizer('NFKD'),
  Nmt: () => new NmtNormalizer(),
  Precompiled: object => new PrecompiledNormalizer(object.optionalString('precompiled_charsmap') ?? ''),
  Prepend: object => new PrependNormalizer(object.string('prepend')),
  Replace: object => new ReplaceNormalizer(parsePattern(object), object.string('content')),
  Sequence: object => new SequenceNormalizer(object.objects('normalizers').map(normalizerFromJson)),
  Strip: object => new StripNormalizer(object.boolean('strip_left'), object.boolean('strip_right')),
  StripAccents: () => new StripAccentsNormalizer(),
}

/** Throws HEED_CONFIG_INVALID. */
export function normalizerFromJson(object: JsonObject): Normalizer {
  return parsers[object.choice('type', Object.keys(parsers))]!(object)
}
