import type { JsonObject } from '../json-object.ts'
import type { Pattern } from '../regex.ts'
import { BertPreTokenizer } from './bert.ts'
import { type ByteLevelOptions, ByteLevelPreTokenizer } from './byte-level.ts'
import { CharDelimiterSplitPreTokenizer } from './char-delimiter-split.ts'
import { splitBehaviors } from './cut.ts'
import { DigitsPreTokenizer } from './digits.ts'
import { FixedLengthPreTokenizer } from './fixed-length.ts'
import { type MetaspaceOptions, MetaspacePreTokenizer } from './metaspace.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'
import { PunctuationPreTokenizer } from './punctuation.ts'
import { SequencePreTokenizer } from './sequence.ts'
import { SplitPreTokenizer } from './split.ts'
import { UnicodeScriptsPreTokenizer } from './unicode-scripts.ts'
import { WhitespacePreTokenizer, WhitespaceSplitPreTokenizer } from './whitespace.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => PreTokenizer>> = {
  BertPreTokenizer: () => new BertPreTokenizer(),
  ByteLevel: object => new ByteLevelPreTokenizer(parseByteLevel(object)),
  CharDelimiterSplit: object => new CharDelimiterSplitPreTokenizer(parseCharacter(object, 'delimiter')),
  Digits: object => new DigitsPreTokenizer(object.boolean('individual_digits')),
  FixedLength: parseFixedLength,
  Metaspace: object => new MetaspacePreTokenizer(parseMetaspace(object)),
  Punctuation: object => new PunctuationPreTokenizer(object.choice('behavior', splitBehaviors, 'Isolated')),
  Sequence: object => new SequencePreTokenizer(object.objects('pretokenizers').map(preTokenizerFromJson)),
  Split: object =>
    new SplitPreTokenizer({
      pattern: parsePattern(object),
      behavior: object.choice('behavior', splitBehaviors),
      invert: object.boolean('invert', false),
    }),
  UnicodeScripts: () => new UnicodeScriptsPreTokenizer(),
  Whitespace: () => new WhitespacePreTokenizer(),
  WhitespaceSplit: () => new WhitespaceSplitPreTokenizer(),
}

/** Throws HEED_CONFIG_INVALID. */
export function preTokenizerFromJson(object: JsonObject): PreTokenizer {
  return parsers[object.choice('type', Object.keys(parsers))]!(object)
}

/** The options of the three parts that HF calls ByteLevel. */
export function parseByteLevel(object: JsonObject): Required<ByteLevelOptions> {
  return {
    addPrefixSpace: object.boolean('add_prefix_space', true),
    trimOffsets: object.boolean('trim_offsets', true),
    useRegex: object.boolean('use_regex', true),
  }
}

/** The options of the two parts that HF calls Metaspace; older files have add_prefix_space instead of a scheme. */
export function parseMetaspace(object: JsonObject): MetaspaceOptions {
  const scheme = object.choice('prepend_scheme', ['first', 'never', 'always'] as const, 'always')
  const isNever = object.has('add_prefix_space') && !object.boolean('add_prefix_space')
  if (isNever && object.has('prepend_scheme') && scheme !== 'never') {
    throw object.invalid('prepend_scheme', '"never" because add_prefix_space is false')
  }
  return {
    replacement: parseCharacter(object, 'replacement'),
    prependScheme: isNever ? 'never' : scheme,
    split: object.boolean('split', true),
  }
}

/** A fixed text or a regular expression. */
export function parsePattern(object: JsonObject): Pattern {
  const pattern = object.object('pattern')
  return pattern.has('Regex') ? { Regex: pattern.string('Regex') } : { String: pattern.string('String') }
}

/** A string of one code point. */
export function parseCharacter(object: JsonObject, key: string): string {
  const text = object.string(key)
  if ([...text].length !== 1) throw object.invalid(key, 'one character')
  return text
}

function parseFixedLength(object: JsonObject): PreTokenizer {
  const length = object.count('length', 5)
  if (length === 0) throw object.invalid('length', 'an integer from 1 on')
  return new FixedLengthPreTokenizer(length)
}
