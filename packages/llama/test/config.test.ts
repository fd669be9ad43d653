import { llamaConfig, relatives } from '@heed/llama'
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
    layerTypes: Array(32).fill('full_attention'),
    partialRotaryFactor: 1,
    qkvBias: false,
    labels: ['LABEL_0', 'LABEL_1'],
    problemType: null,
  })
})

const ropeRule =
  'expected null or an object with rope_type "default", "linear", "dynamic", "llama3", "yarn", "longrope" and the numbers of ' +
  'that type and no others (linear: factor; dynamic: factor; llama3: factor, low_freq_factor, high_freq_factor, ' +
  'original_max_position_embeddings; yarn: factor, original_max_position_embeddings, beta_fast?, beta_slow?, attention_factor?, ' +
  'mscale?, mscale_all_dim?, truncate?; longrope: short_factor, long_factor, original_max_position_embeddings, factor?, ' +
  'attention_factor?).'

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
    `config.json: rope_parameters is {"rope_type":"spiral"}, ${ropeRule} Set rope_parameters to such a value.`,
  ],
  [
    { ...base, rope_scaling: { rope_type: 'linear', factor: 2, mrope_section: [1, 1] } },
    'config.json: rope_scaling is {"rope_type":"linear","factor":2,"mrope_section":[1,1]}, ' +
      `${ropeRule} Set rope_scaling to such a value.`,
  ],
  [
    { ...base, rope_scaling: { rope_type: 'longrope', short_factor: [1], long_factor: 'x' } },
    'config.json: rope_scaling is {"rope_type":"longrope","short_factor":[1],"long_factor":"x"}, ' +
      `${ropeRule} Set rope_scaling to such a value.`,
  ],
  [
    { ...base, model_type: 'mistral' },
    'config.json: model_type is "mistral", expected "llama". Load it with an Auto class, which finds its architecture.',
  ],
  [
    { ...base, quantization_config: { bits: 4 } },
    'config.json: quantization_config is {"bits":4}, expected it to be absent. ' +
      'This version does not serve models that set it.',
  ],
  [
    { ...base, rope_theta: -1 },
    'config.json: rope_theta is -1, expected a number above 0. Set rope_theta to such a value.',
  ],
  [
    { ...base, rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } },
    'config.json: rope_parameters.partial_rotary_factor is 0.5, expected 1, since heads of this architecture turn whole. ' +
      'Set rope_parameters.partial_rotary_factor to such a value.',
  ],
])('%j is refused', (json, message) => {
  expect(messageOf(json)).toBe(message)
})

describe('relatives', () => {
  const read = (json: Record<string, unknown>) => relatives[json.model_type as string]!.config.fromHf(json, 'c')
  const four = { vocab_size: 10, hidden_size: 8, num_attention_heads: 2, num_key_value_heads: 2, num_hidden_layers: 4 }

  test('older files tell the layers with a window by other keys', () => {
    const types = (json: Record<string, unknown>) =>
      read({ ...four, ...json })
        .layerTypes.map(type => type[0])
        .join('')
    expect(types({ model_type: 'mistral', sliding_window: 5 })).toBe('ssss')
    expect(types({ model_type: 'mistral', sliding_window: null })).toBe('ffff')
    expect(types({ model_type: 'qwen2', sliding_window: 5, max_window_layers: 2 })).toBe('ffff')
    expect(types({ model_type: 'qwen2', use_sliding_window: true, sliding_window: 5, max_window_layers: 2 })).toBe(
      'ffss',
    )
    expect(types({ model_type: 'gemma2' })).toBe('sfsf')
    expect(types({ model_type: 'gemma3_text', sliding_window_pattern: 3 })).toBe('ssfs')
    expect(types({ model_type: 'gemma2', layer_types: Array(4).fill('full_attention') })).toBe('ffff')
  })

  test('Gemma 3 reads the two bases of its angles in either spelling', () => {
    const v4 = {
      model_type: 'gemma3_text',
      rope_theta: 500,
      rope_local_base_freq: 20,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    }
    const v5 = {
      model_type: 'gemma3_text',
      rope_parameters: {
        full_attention: { rope_type: 'linear', factor: 8, rope_theta: 500 },
        sliding_attention: { rope_type: 'default', rope_theta: 20 },
      },
    }
    const numbers = { ropeTheta: 500, ropeLocalBaseFreq: 20, ropeScaling: { ropeType: 'linear', factor: 8 } }
    expect(read({ ...four, ...v4 })).toMatchObject(numbers)
    expect(read({ ...four, ...v5 })).toMatchObject(numbers)
  })

  test('divisors of a wrong number are refused before a model is made', () => {
    for (const [short, long] of [
      [
        [1, 1, 1],
        [1, 1],
      ],
      [
        [1, 1],
        [1, 1, 1],
      ],
    ]) {
      const longrope = { rope_type: 'longrope', short_factor: short, long_factor: long }
      const sizes = { hidden_size: 8, num_attention_heads: 2, max_position_embeddings: 64 }
      expect(() => llamaConfig.fromHf({ ...sizes, rope_scaling: longrope }, 'config.json')).toThrow(
        'expected short_factor and long_factor of 2 numbers, one for each pair of channels that turns. ' +
          `There are ${short!.length} and ${long!.length}: take them from the model's own config.json.`,
      )
    }
  })

  test('Phi-3 tells the context trained on beside its longrope numbers, and is written for transformers 4 and 5', () => {
    const longrope = { short_factor: [1, 1], long_factor: [2, 3] }
    const json = { ...four, model_type: 'phi3', max_position_embeddings: 64, original_max_position_embeddings: 32 }
    const config = read({ ...json, rope_scaling: { type: 'su', ...longrope } })
    expect(config.ropeScaling).toEqual({
      ropeType: 'longrope',
      shortFactor: [1, 1],
      longFactor: [2, 3],
      originalMaxPositionEmbeddings: 32,
    })
    expect(relatives.phi3!.config.toHf(config)).toMatchObject({
      rope_scaling: { type: 'longrope', ...longrope },
      original_max_position_embeddings: 32,
      rope_parameters: { rope_type: 'longrope', ...longrope, original_max_position_embeddings: 32, rope_theta: 10000 },
    })
  })

  test('keys that change numbers and are not served are refused', () => {
    expect(() => read({ ...four, model_type: 'gemma', use_bidirectional_attention: true })).toThrow(
      'c: use_bidirectional_attention is true, expected false. This version does not serve models that set it.',
    )
    expect(() => read({ ...four, model_type: 'gemma2', hidden_activation: 'gelu' })).toThrow(
      'c: hidden_activation is "gelu", expected one of gelu_pytorch_tanh. Set hidden_activation to such a value.',
    )
    expect(read({ ...four, model_type: 'gemma', hidden_act: 'gelu' }).hiddenAct).toBe('geluTanh') // first files mean this
    expect(() => read({ ...four, model_type: 'gemma2', layer_types: ['full_attention'] })).toThrow(
      'c: layer_types is ["full_attention"], expected one type for each of the 4 layers (num_hidden_layers). Change layer_types.',
    )
  })
})
