import { HeedError } from '@heed/tensor-backend'
import {
  type BaseConfig,
  choice,
  defineConfig,
  flag,
  optionalSize,
  rate,
  real,
  size,
  tokenId,
  tokenIds,
} from '@heed/transformer'
import { describe, expect, test } from 'vitest'

interface TestConfig extends BaseConfig {
  hiddenSize: number
  numHeads: number
  inner: number
  window: number | null
  eps: number
  dropout: number
  act: 'silu' | 'geluTanh'
  tied: boolean
  pad: number | null
  eos: readonly number[]
}

const table = defineConfig<TestConfig>(
  'test',
  {
    hiddenSize: size(['hidden_size', 'n_embd']),
    numHeads: size('num_heads', { fallback: 2 }),
    inner: size('n_inner', { fallback: config => 4 * (config.hiddenSize as number) }),
    window: optionalSize('window'),
    eps: real('eps', { min: 0, max: 1, fallback: 1e-5 }),
    dropout: rate('dropout', 0.1),
    act: choice('act', { silu: 'silu', gelu_new: 'geluTanh' }, { fallback: 'silu' }),
    tied: flag('tied', true),
    pad: tokenId('pad_token_id', 7),
    eos: tokenIds('eos_token_id', [2]),
  },
  {
    check: ({ hiddenSize, numHeads }) =>
      hiddenSize % numHeads === 0
        ? undefined
        : {
            field: 'numHeads',
            rule: key => `a divisor of ${key('hiddenSize')} (${hiddenSize})`,
            mend: key => `Change ${key('numHeads')}.`,
          },
    unserved: { quantization_config: [], scale: [1] },
  },
)

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof HeedError && error.code === 'HEED_CONFIG_INVALID') return error.message
  }
  throw new Error('expected HEED_CONFIG_INVALID')
}

describe('reading a config.json', () => {
  test('takes other spellings, fills in defaults and keeps the keys it does not know', () => {
    const json = {
      model_type: 'cousin',
      n_embd: 8,
      act: 'gelu_new',
      pad_token_id: -1,
      eos_token_id: [1, 2],
      note: 'kept',
    }
    expect(table.fromHf(json, 'config.json')).toEqual({
      modelType: 'cousin',
      hiddenSize: 8,
      numHeads: 2,
      inner: 32,
      window: null,
      eps: 1e-5,
      dropout: 0.1,
      act: 'geluTanh',
      tied: true,
      pad: null,
      eos: [1, 2],
      otherKeys: { note: 'kept' },
      floatKeys: ['eps', 'dropout'],
    })
  })

  test('a null means none where that has a meaning, and else the default', () => {
    const config = table.fromHf({ hidden_size: 4, eos_token_id: null, pad_token_id: null, n_inner: null }, 'c')
    expect([config.eos, config.pad, config.inner]).toEqual([[], null, 16])
  })

  test('what is written reads back the same', () => {
    const config = table.fromHf({ hidden_size: 4, act: 'gelu_new', eos_token_id: 3, note: [1] }, 'c')
    const json = table.toHf(config)
    expect(json).toMatchObject({ model_type: 'test', hidden_size: 4, act: 'gelu_new', eos_token_id: 3, note: [1] })
    expect(table.fromHf(json, 'c')).toEqual(config)
  })
})

describe('bad configurations', () => {
  const base = { hidden_size: 8 }
  test.each([
    [{ hidden_size: 8.5 }, 'm: hidden_size is 8.5, expected a positive integer. Set hidden_size to such a value.'],
    [{ n_embd: '8' }, 'm: n_embd is "8", expected a positive integer. Set n_embd to such a value.'],
    [{}, 'm: hidden_size is undefined, expected a positive integer. Add hidden_size.'],
    [{ ...base, window: 0 }, 'm: window is 0, expected a positive integer or null. Set window to such a value.'],
    [{ ...base, eps: 2 }, 'm: eps is 2, expected a number from 0 to 1. Set eps to such a value.'],
    [{ ...base, dropout: 1 }, 'm: dropout is 1, expected a number from 0 to below 1. Set dropout to such a value.'],
    [{ ...base, act: 'mish' }, 'm: act is "mish", expected one of silu, gelu_new. Set act to such a value.'],
    [{ ...base, tied: 'yes' }, 'm: tied is "yes", expected true or false. Set tied to such a value.'],
    [
      { ...base, eos_token_id: 'x' },
      'm: eos_token_id is "x", expected a token id, a list of them or null. Set eos_token_id to such a value.',
    ],
    [
      { ...base, pad_token_id: 1.5 },
      'm: pad_token_id is 1.5, expected a token id or null. Set pad_token_id to such a value.',
    ],
    [{ n_embd: 9 }, 'm: num_heads is 2, expected a divisor of n_embd (9). Change num_heads.'],
    [
      { ...base, quantization_config: { bits: 4 } },
      'm: quantization_config is {"bits":4}, expected it to be absent. This version does not serve models that set it.',
    ],
    [{ ...base, scale: 2 }, 'm: scale is 2, expected 1. This version does not serve models that set it.'],
  ])('%j names the key as spelled, the value, the rule and the mend', (json, message) => {
    expect(messageOf(() => table.fromHf(json, 'm'))).toBe(message)
  })

  test('a configuration made in code is checked under its own names', () => {
    expect(messageOf(() => table.complete({ hiddenSize: 9 }))).toBe(
      'config: numHeads is 2, expected a divisor of hiddenSize (9). Change numHeads.',
    )
    expect(messageOf(() => table.complete({ hiddenSize: 8, heads: 2 } as never))).toBe(
      'config: heads is 2, expected a name that this configuration has. Remove heads.',
    )
  })
})
