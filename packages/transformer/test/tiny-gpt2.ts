import { Tokenizer } from '@heed/tokenizer'
import { Gpt2LMHeadModel, gpt2Config } from '@heed/transformer'

export const tinyGpt2Config = gpt2Config.complete({
  vocabSize: 20,
  maxPositionEmbeddings: 32,
  hiddenSize: 16,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  initializerRange: 0.5,
  bosTokenId: 0,
  eosTokenId: [],
  padTokenId: 0,
})

export function tinyGpt2(seed = 1): Gpt2LMHeadModel {
  return new Gpt2LMHeadModel(tinyGpt2Config, { seed })
}

/** Its ids as letters: 0 is `_`, 1 is `a`. */
export function letterTokenizer(): Tokenizer {
  return Tokenizer.fromJSON({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'Split', pattern: { String: '' }, behavior: 'Isolated', invert: false },
    post_processor: null,
    decoder: { type: 'Fuse' },
    model: {
      type: 'WordLevel',
      vocab: Object.fromEntries(Array.from('_abcdefghijklmnopqrs', (letter, id) => [letter, id])),
      unk_token: '_',
    },
  })
}
