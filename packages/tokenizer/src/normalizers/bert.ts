import type { NormalizedText } from '../normalized-text.ts'
import { lowercase } from './lowercase.ts'
import type { Normalizer } from './normalizer.ts'
import { UnicodeNormalizer } from './unicode.ts'

export interface BertNormalizerOptions {
  /** Drops control characters and makes each white space a space. Default true. */
  readonly cleanText?: boolean
  /** Puts spaces around Chinese characters. Default true. */
  readonly handleChineseChars?: boolean
  /** Drops accents. Default (null): as `lowercase`. */
  readonly stripAccents?: boolean | null
  /** Default true. */
  readonly lowercase?: boolean
}

const control = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\ufffd]/gu
const whitespace = /(?! )\p{White_Space}/gu
const chinese =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu
const accent = /\p{Mn}/gu
const nfd = new UnicodeNormalizer('NFD')

/** The cleaning of BERT's BasicTokenizer. Devlin et al. 2018, google-research/bert `tokenization.py`. */
export class BertNormalizer implements Normalizer {
  readonly options: Required<BertNormalizerOptions>

  constructor(options: BertNormalizerOptions = {}) {
    this.options = {
      cleanText: options.cleanText ?? true,
      handleChineseChars: options.handleChineseChars ?? true,
      stripAccents: options.stripAccents ?? null,
      lowercase: options.lowercase ?? true,
    }
  }

  normalize(text: NormalizedText): NormalizedText {
    const { options } = this
    let result = text
    if (options.cleanText) {
      result = result.replaceCharacters(control, '')
      result = result.withText(result.text.replace(whitespace, ' '))
    }
    if (options.handleChineseChars) result = result.replaceCharacters(chinese, ' $& ')
    if (options.stripAccents ?? options.lowercase) result = nfd.normalize(result).replaceCharacters(accent, '')
    return options.lowercase ? lowercase(result) : result
  }

  toJSON(): Record<string, unknown> {
    const { options } = this
    return {
      type: 'BertNormalizer',
      clean_text: options.cleanText,
      handle_chinese_chars: options.handleChineseChars,
      strip_accents: options.stripAccents,
      lowercase: options.lowercase,
    }
  }
}
