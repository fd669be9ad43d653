import { unitsAt } from '../normalized-text.ts'
import type { PieceSink, PreTokenizedText } from '../pre-tokenized-text.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

/** Scripts of Unicode 12, the version of HF's table; what is in none of them goes with any. */
const scriptNames =
  'Latin Common Han Cyrillic Arabic Greek Hangul Devanagari Thai Hebrew Inherited Adlam Ahom Anatolian_Hieroglyphs Armenian Avestan ' +
  'Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian ' +
  'Caucasian_Albanian Chakma Cham Cherokee Coptic Cuneiform Cypriot Deseret Duployan Egyptian_Hieroglyphs Elbasan ' +
  'Ethiopic Georgian Glagolitic Gothic Grantha Gujarati Gurmukhi Hanunoo Hatran Hiragana Imperial_Aramaic ' +
  'Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kayah_Li Kharoshthi Khmer Khojki ' +
  'Khudawadi Lao Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Malayalam Mandaic Manichaean Marchen ' +
  'Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean ' +
  'New_Tai_Lue Newa Nko Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian ' +
  'Old_South_Arabian Old_Turkic Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician ' +
  'Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sora_Sompeng ' +
  'Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangut Telugu Thaana Tibetan ' +
  'Tifinagh Tirhuta Ugaritic Vai Warang_Citi Yi'

const scripts: readonly (readonly [name: string, pattern: RegExp])[] = scriptNames
  .split(' ')
  .map(name => [name, new RegExp(`^\\p{Script=${name}}`, 'u')])

const known = new Map<string, string | undefined>()

/** The script of a character as SentencePiece groups them, or undefined for one that goes with any. */
function scriptOf(character: string): string | undefined {
  if (character === ' ') return undefined
  if (character === '\u30fc') return 'Han'
  if (known.has(character)) return known.get(character)
  const name = scripts.find(([, pattern]) => pattern.test(character))?.[0]
  const script = name === 'Hiragana' || name === 'Katakana' ? 'Han' : name
  known.set(character, script)
  return script
}

function cut(text: string, sink: PieceSink): void {
  let last: string | undefined
  // Spaces in front of the first script belong to no piece; the reference drops them.
  let start = -1
  for (let i = 0; i < text.length; ) {
    const end = i + unitsAt(text, i)
    const script = scriptOf(text.slice(i, end))
    if (script !== undefined) {
      if (start < 0) start = i
      else if (script !== last) {
        sink.add(start, i)
        start = i
      }
      last = script
    }
    i = end
  }
  if (start >= 0) sink.add(start, text.length)
}

/** Cuts where the script changes; Japanese syllables count as Chinese characters. */
export class UnicodeScriptsPreTokenizer implements PreTokenizer {
  preTokenize(text: PreTokenizedText): void {
    text.split(cut)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'UnicodeScripts' }
  }
}
