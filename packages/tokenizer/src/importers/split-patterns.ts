/** Regular expressions by which byte-level vocabularies cut texts, in Oniguruma syntax as tokenizer.json has them. */
const contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const rest = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

/** GPT-2 (openai/gpt-2, encoder.py): contractions, letters, digits and other characters, each with a space before it. */
export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** cl100k_base (openai/tiktoken) and LLaMA 3: digits by threes. */
export const CL100K_PATTERN: string = `${contraction}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|${rest}`

/** Qwen: digits one by one. */
export const QWEN_PATTERN: string = `${contraction}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|${rest}`

const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]'
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'
const camelCase = (suffix: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${suffix}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${suffix}`
const slashes = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

/** o200k_base (openai/tiktoken) and LLaMA 4: words break where lower case turns to upper case. */
export const O200K_PATTERN: string = `${camelCase(`${contraction}?`)}|\\p{N}{1,3}|${slashes}`

/** Mistral's Tekken. */
const TEKKEN_PATTERN = `${camelCase('')}|\\p{N}|${slashes}`

const HAN_DEEPSEEK = '[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+'
/** Letters with case of Unicode 11, as DeepSeek's file lists them. */
const CASED_LETTERS =
  'A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃'

/** Where a pattern list has several, each cuts what the ones before left; by the name in `tokenizer.ggml.pre`. */
const patternLists: readonly (readonly [names: string, patterns: readonly string[]])[] = [
  [
    'gpt-2 phi-2 mpt olmo jais trillion roberta-bpe jina-es jina-de jina-v2-es jina-v2-de jina-v2-code gigachat',
    [GPT2_PATTERN],
  ],
  ['llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral dbrx smaug-bpe glm4 chatglm-bpe', [CL100K_PATTERN]],
  ['qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez kormo', [QWEN_PATTERN]],
  ['gpt-4o llama4', [O200K_PATTERN]],
  ['tekken', [TEKKEN_PATTERN]],
  ['starcoder refact command-r smollm codeshell exaone minerva-7b', ['\\p{N}', GPT2_PATTERN]],
  ['falcon', ['[\\p{P}\\$\\+<=>\\^~\\|`]+', GPT2_PATTERN, '[0-9][0-9][0-9]']],
  ['bloom poro-chat gpt3-finnish', [' ?[^(\\s|.,!?…。，、।۔،)]+']],
  ['viking', [' ?[^(\\s|.,!?…。，、।۔،)]+', '\\p{N}']],
  [
    'deepseek-llm',
    ['[\\r\\n]', `\\s?[${CASED_LETTERS}]+`, '\\s?[!-/:-~！-／：-～‘-‟　-。]+', '\\s+$', HAN_DEEPSEEK, '\\p{N}+'],
  ],
  ['deepseek-coder', ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', HAN_DEEPSEEK, '\\p{N}']],
  [
    'deepseek-v3',
    [
      '\\p{N}{1,3}',
      '[一-龥぀-ゟ゠-ヿ]+',
      '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
    ],
  ],
]

/** Patterns by the name that GGUF files give them. */
export const patternsByName: ReadonlyMap<string, readonly string[]> = new Map(
  patternLists.flatMap(([names, patterns]) => names.split(' ').map(name => [name, patterns] as const)),
)
