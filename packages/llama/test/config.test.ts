import { llamaConfig } from '@heed/llama'
import { HeedError } from '@heed/tensor-backend'
import { describe, expect, test } from 'vitest'

const base = { model_type: 'llama', vocab_size: 10, hidden_size: 8, num_attention_heads: 2 }

function messageOf(json: Record<string, unknown>): string {
  try {
    llamaConfig.fromHf(json, 'config.json')
  } catch (error) {
    if (error instanceof HeedError && error.code === 'HEED_CONFIG_INVALID') return error.message
  }
  throw new Error('expected HEED_CONFIG_INVALID')
}

describe('rope', () => {
  const scaling = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  }
  const ours = {
    ropeType: 'llama3',
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  }

  test('is read from the keys of transformers 4 and of transformers 5', () => {
    const v4 = llamaConfig.fromHf({ ...base, rope_theta: 500000, rope_scaling: scaling }, 'c')
    const v5 = llamaConfig.fromHf({ ...base, rope_parameters: { ...scaling, rope_theta: 500000 } }, 'c')
    expect(v4).toEqual(v5)
    expect([v5.ropeTheta, v5.ropeScaling]).toEqual([500000, ours])
  })

  test('is read with `type` for `rope_type`, and a default type scales nothing', () => {
    expect(llamaConfig.fromHf({ ...base, rope_scaling: { type: 'linear', factor: 2 } }, 'c').ropeScaling).toEqual({
      ropeType: 'linear',
      factor: 2,
    })
    expect(llamaConfig.fromHf({ ...base, rope_parameters: { rope_type: 'default' } }, 'c').ropeScaling).toBeNull()
  })

  test('is written in both spellings', () => {
    const json = llamaConfig.toHf(llamaConfig.fromHf({ ...base, rope_theta: 500000, rope_scaling: scaling }, 'c'))
    expect(json).toMatchObject({
      rope_theta: 500000,
      rope_scaling: scaling,
      rope_parameters: { ...scaling, rope_theta: 500000 },
    })
    const plain = llamaConfig.toHf(llamaConfig.fromHf(base, 'c'))
    expect(plain).toMatchObject({
      rope_theta: 10000,
      rope_scaling: null,
      rope_parameters: { rope_theta: 10000, rope_type: 'default' },
    })
  })
})

test('defaults are those of HF LlamaConfig', () => {
  expect(llamaConfig.complete({})).toEqual({
    modelType: 'llama',
    otherKeys: {},
    floatKeys: expect.arrayContaining(['initializer_range', 'rms_norm_eps', 'rope_theta']),
    vocabSize: 32000,
    hiddenSize: 4096,
    intermediateSize: 11008,
    numHiddenLayers: 32,
    numAttentionHeads: 32,
    numKeyValueHeads: 32,
    headDim: 128,
    hiddenAct: 'silu',
    maxPositionEmbeddings: 2048,
    initializerRange: 0.02,
    rmsNormEps: 1e-6,
    bosTokenId: 1,
    eosTokenId: [2],
    padTokenId: null,
    tieWordEmbeddings: false,
    ropeTheta: 10000,
    ropeScaling: null,
    attentionBias: false,
    attentionDropout: 0,
    mlpBias: false,
    slidingWindow: null,
  })
})

test.each([
  [
    { ...base, num_attention_heads: 3 },
    'config.json: num_attention_heads is 3, expected a divisor of hidden_size (8). Change one of them, or set head_dim.',
  ],
  [
    { ...base, head_dim: 3 },
    'config.json: head_dim is 3, expected an even number, since rotary positions turn pairs of channels. ' +
      'Change hidden_size or num_attention_heads.',
  ],
  [
    { ...base, num_attention_heads: 4, num_key_value_heads: 3 },
    'config.json: num_attention_heads is 4, expected a multiple of num_key_value_heads (3). ' +
      'Set num_key_value_heads to a divisor of 4, or leave it out for one per query head.',
  ],
  [
    { ...base, hidden_size: '8' },
    'config.json: hidden_size is "8", expected a positive integer. Set hidden_size to such a value.',
  ],
  [
    { ...base, hidden_act: 'gelu' },
    'config.json: hidden_act is "gelu", expected one of silu. Set hidden_act to such a value.',
  ],
  [
    { ...base, rope_parameters: { rope_type: 'spiral' } },
    'config.json: rope_parameters is {"rope_type":"spiral"}, expected null or an object with rope_type "default", "linear", ' +
      '"llama3" or "yarn" and the numbers of that type (linear: factor; llama3: factor, low_freq_factor, high_freq_factor, ' +
      'original_max_position_embeddings; yarn: factor, original_max_position_embeddings). ' +
      'Set rope_parameters to such a value.',
  ],
  [
    { ...base, rope_theta: -1 },
    'config.json: rope_theta is -1, expected a number above 0. Set rope_theta to such a value.',
  ],
])('%j is refused', (json, message) => {
  expect(messageOf(json)).toBe(message)
})
