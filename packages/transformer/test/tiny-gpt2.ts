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
