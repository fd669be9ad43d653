import { expect, test } from 'vitest'
import { ReplaceDecoder } from '../src/decoders/replace.ts'
import { NormalizedText } from '../src/normalized-text.ts'
import { ReplaceNormalizer } from '../src/normalizers/replace.ts'
import { translatePattern } from '../src/regex.ts'
import { Tokenizer } from '../src/tokenizer.ts'
import { testTokenizer } from './test-tokenizer.ts'

testTokenizer('byte-level-bpe')
testTokenizer('roberta-bpe')
testTokenizer('llama2-bpe')
testTokenizer('llama2-metaspace')
testTokenizer('llama3-bpe')
testTokenizer('suffix-bpe')
testTokenizer('wordpiece')
testTokenizer('unigram')
testTokenizer('unigram-bytes')
testTokenizer('word-level')

// Expected values are those of HF tokenizers 0.23.
test('an empty match right behind another is none', () => {
  const replaced = (pattern: string, text: string) => {
    const normalizer = new ReplaceNormalizer({ Regex: pattern }, '-')
    return normalizer.normalize(NormalizedText.of(text)).text
  }
  expect(replaced('\\s*$', 'a  ')).toBe('a-')
  expect(replaced('a*', 'baac')).toBe('-b-c-')
  expect(new ReplaceDecoder({ Regex: 'a*' }, '-').decodeChain(['baac', 'd'])).toEqual(['-b-c-', '-d-'])
})

test('superscripts and fractions of Latin-1 are letters to \\w, but not in a class', () => {
  const matched = (pattern: string) => 'a²½'.match(translatePattern(pattern))
  expect(matched('\\w')).toEqual(['a', '²', '½'])
  expect(matched('[\\w]')).toEqual(['a'])
  expect(matched('[^\\w\\s]+')).toEqual(['²½'])
})

test('\\N is any character but a line break, \\O any at all, and in a class they are letters', () => {
  const matched = (pattern: string) => 'N\n'.match(translatePattern(pattern))
  expect([matched('\\N'), matched('\\O'), matched('[\\N]')]).toEqual([['N'], ['N', '\n'], ['N']])
})

test('what a normalizer puts before a text behind an added token stands where that text begins', () => {
  const { tokens, offsets } = Tokenizer.fromJSON({
    added_tokens: [{ id: 3, content: '<x>', special: true }],
    normalizer: { type: 'Replace', pattern: { Regex: '^' }, content: '_' },
    pre_tokenizer: { type: 'Split', pattern: { String: '_' }, behavior: 'Isolated' },
    model: { type: 'WordLevel', vocab: { '<unk>': 0, a: 1, _: 2 }, unk_token: '<unk>' },
  }).encode('a<x>a')
  expect(tokens).toEqual(['_', 'a', '<x>', '_', 'a'])
  expect(offsets).toEqual([[0, 0], [0, 1], [1, 4], [4, 4], [4, 5]]) // biome-ignore format: rows
})

test('tokens are texts of the model, unknown ones those of the piece', () => {
  const bytes = Tokenizer.fromJSON({
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    model: { type: 'Unigram', vocab: [['<unk>', 0], ['Ġ', -1]], unk_id: 0 }, // biome-ignore format: rows
  })
  expect(bytes.encode('日 a').tokens).toEqual(['æĹ¥', 'Ġ', 'a'])
  const prepends = Tokenizer.fromJSON({
    added_tokens: [{ id: 0, content: '<unk>', normalized: true }],
    normalizer: { type: 'Prepend', prepend: '_' },
    model: { type: 'WordLevel', vocab: { '<unk>': 0 }, unk_token: '<unk>' },
  })
  expect(prepends.encode('b').tokens).toEqual(['<unk>'])
})
