import { describe, expect, test } from 'vitest'
import { HeedError } from '../src/errors.ts'
import { Tokenizer } from '../src/tokenizer.ts'

const vocab = Object.fromEntries(
  ['<unk>', 'a', 'b', 'c', '<', '>', 'x', 's', '<s>', '</s>', '<pad>'].map((t, i) => [t, i]),
)
const json = {
  added_tokens: [{ id: 0, content: '<unk>', special: true }],
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: null,
  model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
}
const load = (config: Record<string, unknown>, file: object = json) => Tokenizer.fromJSON(file, config)

// Expected values are those of AutoTokenizer of transformers 5.18 for a folder of the two files.
describe('what tokenizer_config.json says counts as in transformers', () => {
  test('padding_side and truncation_side', () => {
    const tokenizer = load({ padding_side: 'left', truncation_side: 'left', pad_token: '<pad>', model_max_length: 2 })
    const ids = (options: object) => tokenizer.encodeBatch(['a b c', 'a'], options).map(encoding => encoding.ids)
    expect(ids({ padding: true })).toEqual([[1, 2, 3], [10, 10, 1]]) // biome-ignore format: rows
    expect(ids({ truncation: true })).toEqual([[2, 3], [1]])
    expect(ids({ truncation: { maxLength: 1 }, padding: { length: 2 } })).toEqual([[10, 3], [10, 1]]) // biome-ignore format: rows
    expect(ids({ truncation: { maxLength: 2, direction: 'right' } })).toEqual([[1, 2], [1]])
  })

  test('the side of the config counts before that of tokenizer.json', () => {
    const padding = { strategy: 'BatchLongest', direction: 'Right', pad_id: 10, pad_type_id: 0, pad_token: '<pad>' }
    const tokenizer = load({ padding_side: 'left' }, { ...json, padding })
    expect(tokenizer.encodeBatch(['a b', 'a']).map(({ ids }) => ids)).toEqual([[1, 2], [10, 1]]) // biome-ignore format: rows
  })

  test('a side that is none is refused', () => {
    const message = 'tokenizer_config.json: padding_side is "middle", expected one of left, right. Correct the file.'
    expect(() => load({ padding_side: 'middle' })).toThrow(new HeedError('HEED_CONFIG_INVALID', message))
  })

  test('special tokens that tokenizer.json lacks are added, found whole and left out by decode', () => {
    const tokenizer = load({
      eos_token: '</s>',
      image_token: '<img>',
      extra_special_tokens: ['<x>'],
      added_tokens_decoder: { 12: { content: '<d>', lstrip: true }, 3: { content: 'c', special: true } },
    })
    const { ids } = tokenizer.encode('a c </s> <x>b <d> <img>')
    expect(ids).toEqual([1, 3, 9, 13, 2, 11, 12])
    expect(tokenizer.decode(ids)).toBe('a b <d>')
  })

  test('split_special_tokens, which a call may overrule', () => {
    const ids = (config: object, options = {}) => load({ eos_token: '</s>', ...config }).encode('a </s>', options).ids
    expect(ids({})).toEqual([1, 9])
    expect(ids({}, { splitSpecialTokens: true })).toEqual([1, 0, 7, 5])
    expect(ids({ split_special_tokens: true })).toEqual([1, 0, 7, 5])
    expect(ids({ split_special_tokens: true }, { splitSpecialTokens: false })).toEqual([1, 9])
  })
})
