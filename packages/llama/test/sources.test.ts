import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspectLlama2c, llamaArchitectures, llamaFormats, writeGgufModel } from '@heed/llama'
import {
  type GgufField,
  init,
  openCheckpoint,
  openGguf,
  tf,
  type WritableGgmlTensor,
  writeGguf,
} from '@heed/tensor-backend'
import {
  AutoModelForCausalLM,
  type CausalLm,
  type LoadOptions,
  openPretrained,
  registerArchitecture,
  registerCheckpointFormat,
} from '@heed/transformer'
import { testOnBackends } from '@heed/transformer/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

registerArchitecture(...llamaArchitectures)
registerCheckpointFormat(...llamaFormats)

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url))
const stories = join(fixtures, 'stories260K')
const data = fileURLToPath(new URL('../../../../shared/data/C', import.meta.url))
const llama2c = join(data, 'ytmytm+llama2.c64/stories260K.bin')
const llama2cV1 = join(data, 'clebert+llama2.zig/tinystories_260k/checkpoint_v1.bin')
const meta = join(data, 'pytorch+torchtune/tiny_fair_checkpoint.pt')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-sources-'))
  await init()
})
afterAll(() => rm(folder, { recursive: true }))

const ids = [[1, 5, 9, 20, 7, 12, 3]]

function logitsOf(model: CausalLm, inputIds: number[][] = ids): Float32Array {
  return tf.tidy(() => model.forward({ inputIds }).logits.dataSync<'float32'>())
}

async function logits(path: string, options: LoadOptions = {}): Promise<Float32Array> {
  const model = await AutoModelForCausalLM.fromPretrained(path, options)
  const values = logitsOf(model)
  model.dispose()
  return values
}

async function gguf(from: string, type: 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' = 'F32'): Promise<string> {
  const path = join(folder, `${from.replaceAll('/', '-')}-${type}.gguf`)
  await writeGgufModel(path, await openPretrained(from.startsWith('/') ? from : join(fixtures, from)), { type })
  return path
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The largest difference, as a share of the largest value. */
function difference(a: Float32Array, b: Float32Array): number {
  const largest = b.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
  return a.reduce((max, value, i) => Math.max(max, Math.abs(value - b[i]!)), 0) / largest
}

describe('GGUF', () => {
  // What GGUF has no key for is at the value that llama.cpp supposes.
  const window = 'sliding_attention'
  const supposed: Record<string, Record<string, unknown>> = {
    'gemma2-tiny': { query_pre_attn_scalar: 6 },
    'mistral-tiny': { sliding_window: null },
    'mixtral-tiny': { sliding_window: null },
    'gemma3_text-tiny': { query_pre_attn_scalar: 6, layer_types: [window, window] },
    'smollm3-tiny': { no_rope_layers: [1, 1, 1] },
  }
  const refused = ['qwen2-tiny-windows', 'qwen3_moe-tiny', 'rope-tiny']
  const relatives = readdirSync(fixtures).filter(name => /-tiny(-\w+)?$/.test(name) && !refused.includes(name))
  const models = relatives.flatMap(name => (name === 'llama-tiny' ? ['llama-tiny/grouped', 'llama-tiny/tied'] : [name]))

  test.each([...models, 'rope-tiny/linear', 'rope-tiny/llama3', 'rope-tiny/longrope'])(
    '%s gives the same logits after a way through GGUF',
    async name => {
      const before = tf.memory().numTensors
      const config = supposed[name] ?? {}
      const path = join(folder, 'relative.gguf')
      await writeGgufModel(path, await openPretrained(join(fixtures, name), { config }))
      expect(difference(await logits(path), await logits(join(fixtures, name), { config }))).toBeLessThan(1e-6)
      expect(tf.memory().numTensors).toBe(before)
    },
  )

  test.each([
    [
      'qwen2-tiny-windows',
      'slidingWindow is 4, but GGUF, which has no key for it, means null. Keep this model as an HF folder.',
    ],
    [
      'qwen3_moe-tiny',
      'decoderSparseStep is 2, but GGUF, which has no key for it, means 1. Keep this model as an HF folder.',
    ],
    [
      'gemma2-tiny',
      'queryPreAttnScalar is 9, but GGUF, which has no key for it, means 6. Keep this model as an HF folder.',
    ],
    [
      'rope-tiny/dynamic',
      'ropeType is "dynamic", expected one that llama.cpp has: default, linear, yarn, llama3, longrope.',
    ],
  ])('%s is not written as another model', async (name, message) => {
    const path = join(folder, 'refused.gguf')
    const writing = writeGgufModel(path, await openPretrained(join(fixtures, name)))
    await expect(writing).rejects.toThrow(`${join(fixtures, name)}/config.json: ${message}`)
    expect(existsSync(path)).toBe(false)
  })

  test('a window that llama.cpp has not is told of', async () => {
    const path = join(folder, 'window.gguf')
    const written = async (window: number): Promise<string[]> => {
      const warnings: string[] = []
      const config = { sliding_window: window, max_position_embeddings: 64 }
      const checkpoint = await openPretrained(join(fixtures, 'mistral-tiny'), { config })
      await writeGgufModel(path, checkpoint, { onWarning: message => void warnings.push(message) })
      return warnings
    }
    expect(await written(64)).toEqual([])
    expect(await written(16)).toEqual([
      `${join(fixtures, 'mistral-tiny')}/config.json: slidingWindow is 16, which llama.cpp has not for mistral: texts of more ` +
        'tokens come out otherwise from the file.',
    ])
    const read = (await openPretrained(path)).config
    expect([read.model_type, read.sliding_window]).toEqual(['llama', undefined])
  })

  test('a window of LLaMA is passed over, as in llama.cpp', async () => {
    const path = join(folder, 'windowed.gguf')
    await writeGgufModel(path, await openPretrained(join(fixtures, 'llama-tiny/grouped')))
    const file = await openGguf(path)
    const bytes = (name: string) => () => file.readRaw(name)
    const tensors = new Map([...file.tensors].map(([name, info]) => [name, { ...info, bytes: bytes(name) }]))
    const window: GgufField = { type: 'uint32', value: 2 }
    const windowed = join(folder, 'with-window.gguf')
    await writeGguf(windowed, {
      metadata: new Map([...file.metadata, ['llama.attention.sliding_window', window]]),
      tensors,
    })
    await file.close()
    expect(await logits(windowed)).toEqual(await logits(path))
  })

  const real = (value: number): GgufField => ({ type: 'float32', value })
  const named = (value: string): GgufField => ({ type: 'string', value })
  const divisors = [1, 2, 4, 5]
  const own = (factors: number[], attention: number) => ({
    rope_type: 'longrope',
    short_factor: factors,
    long_factor: factors,
    attention_factor: attention,
  })
  const yarn = { type: named('yarn'), factor: real(4), original_context_length: { type: 'uint32', value: 16 } } as const

  test.each<[string, Record<string, GgufField>, number[] | undefined, object | null]>([
    ['a factor without a type', { factor: real(4) }, undefined, { rope_type: 'linear', factor: 4 }],
    ['the old key of a factor', { scale_linear: real(4) }, undefined, { rope_type: 'linear', factor: 4 }],
    ['type none', { type: named('none'), factor: real(4) }, undefined, null],
    ['attn_factor alone', { attn_factor: real(2) }, undefined, own([1, 1, 1, 1], 2)],
    ['attn_factor with a factor', { factor: real(4), attn_factor: real(2) }, undefined, own([4, 4, 4, 4], 2)],
    [
      'attn_factor with yarn',
      { ...yarn, attn_factor: real(1.5) },
      undefined,
      { rope_type: 'yarn', factor: 4, attention_factor: 1.5 * (1 + 0.1 * Math.log(4)) },
    ],
    ['rope_freqs with a factor', { factor: real(4) }, divisors, own([4, 8, 16, 20], 1)],
    // yarn's ramp over 4 pairs: rotations 32 and 1 within 16 tokens lie below pair 0 and at pair ceil(0.41)
    ['rope_freqs with yarn', yarn, divisors, own([1, 8, 16, 20], 1 + 0.1 * Math.log(4))],
  ])('rope numbers as llama.cpp reads them: %s', async (_, keys, freqs, expected) => {
    const file = await openGguf(await gguf('llama-tiny/grouped'))
    const metadata = new Map(file.metadata)
    for (const [key, field] of Object.entries(keys)) {
      metadata.set(key === 'scale_linear' ? 'llama.rope.scale_linear' : `llama.rope.scaling.${key}`, field)
    }
    const tensors = new Map<string, WritableGgmlTensor>(
      [...file.tensors].map(([name, { type, shape }]) => [name, { type, shape, bytes: () => file.readRaw(name) }]),
    )
    if (freqs) {
      const bytes = new Uint8Array(Float32Array.from(freqs).buffer)
      tensors.set('rope_freqs.weight', { type: 'F32', shape: [4], bytes })
    }
    const path = join(folder, 'rope.gguf')
    await writeGguf(path, { metadata, tensors })
    await file.close()
    const { config } = await openPretrained(path)
    if (expected) expect(config.rope_scaling).toMatchObject(expected)
    else expect(config.rope_scaling).toBe(null)
    await logits(path) // and it is a model
  })

  testOnBackends('weights in few bits give the logits of the numbers that they stand for', async () => {
    const exact = await logits(stories)
    for (const [type, most] of [
      ['F16', 1e-3],
      ['BF16', 1e-2],
      ['Q8_0', 0.02],
      ['Q4_0', 0.25],
    ] as const) {
      const path = await gguf(stories, type)
      const asFloats = await logits(path, { dtype: 'float32' })
      expect(difference(await logits(path), asFloats), `${type} as it is and as float32`).toBeLessThan(0.02)
      expect(difference(asFloats, exact), `${type} and the original`).toBeLessThan(most)
    }
  })

  test('weights stay in the file until they are wanted, an embedding always, and the file is open as long as that', async () => {
    await init({ backend: 'native' })
    const before = tf.memory().numTensors
    const path = await gguf(join(fixtures, 'llama-tiny/grouped'), 'F16')
    const model = await AutoModelForCausalLM.fromPretrained(path)
    const inMemory = await AutoModelForCausalLM.fromPretrained(new Map([['a.gguf', new Blob([readFileSync(path)])]]))
    const isSettled = () => Array.from(model.quantizedWeights(), ([, weight]) => weight.isSettled)
    expect(isSettled().filter(isOne => !isOne).length).toBe(2 * 5 + 1) // not queries, keys and the embedding
    const settings = { maxNewTokens: 6, eosTokenId: [] }
    for (const prompt of [[1], [2, 3, 4]]) {
      expect(await model.generate([prompt], settings)).toEqual(await inMemory.generate([prompt], settings))
    }
    expect(isSettled().every(Boolean)).toBe(true)
    const held = () => readdirSync('/proc/self/fd').filter(fd => linkOf(`/proc/self/fd/${fd}`) === path).length
    if (existsSync('/proc/self/fd')) expect(held()).toBe(1)
    for (const of of [model, inMemory]) of.dispose()
    if (existsSync('/proc/self/fd')) expect(held()).toBe(0)
    expect(tf.memory().numTensors).toBe(before)
  })

  test('a file that a page was given is the same model, and is named where it is broken', async () => {
    const bytes = readFileSync(await gguf(stories))
    const given = (content: Uint8Array): ReadonlyMap<string, Blob> =>
      new Map([['dropped.gguf', new Blob([new Uint8Array(content)])]])
    const model = await AutoModelForCausalLM.fromPretrained(given(bytes))
    expect(difference(logitsOf(model), await logits(stories))).toBeLessThan(1e-6)
    model.dispose()
    await expect(AutoModelForCausalLM.fromPretrained(given(bytes.subarray(0, 5000)))).rejects.toThrow(/GGUF|gguf|blob/)
  })
})

testOnBackends(
  'an HF folder loads in few bits, writes on with them, and saves the numbers that they stand for',
  async () => {
    const before = tf.memory().numTensors
    const model = await AutoModelForCausalLM.fromPretrained(stories, { dtype: 'q8_0' })
    expect([...model.quantizedWeights()].length).toBe(5 * 6 + 2) // w2 has rows of 172
    expect(model.numParameters).toBe(260032)
    expect(difference(logitsOf(model), await logits(stories))).toBeLessThan(0.02)
    expect((await model.generate([[1]], { maxNewTokens: 5 }))[0]).toEqual(
      JSON.parse(readFileSync(join(stories, 'expected.json'), 'utf8')).generation.ids[0].slice(0, 6),
    )
    await model.savePretrained(join(folder, 'saved'))
    expect(difference(await logits(join(folder, 'saved')), logitsOf(model))).toBeLessThan(0.02)
    model.dispose()
    expect(tf.memory().numTensors).toBe(before)
  },
)

const isThere = (path: string) => (existsSync(path) ? test : test.skip)

isThere(llama2c)(
  'llama2.c versions 0 and 1 give the logits of the HF folder, and the 200 tokens of llama2.c itself',
  async () => {
    const exact = await logits(stories)
    expect(await logits(llama2c)).toEqual(exact)
    expect(await logits(llama2cV1)).toEqual(exact)
    const model = await AutoModelForCausalLM.fromPretrained(llama2c)
    const { generation } = JSON.parse(readFileSync(join(stories, 'expected.json'), 'utf8'))
    expect(await model.generate(generation.inputIds, generation.options)).toEqual(generation.ids)
    model.dispose()
  },
)

isThere(llama2c)('the header of llama2.c files tells the sizes and tensors of the HF folder', async () => {
  const config = JSON.parse(readFileSync(join(stories, 'config.json'), 'utf8'))
  const checkpoint = await openCheckpoint(stories)
  const tensors = new Map([...checkpoint.tensors].map(([name, { shape }]) => [name, shape]))
  await checkpoint.close()
  for (const [version, path] of [llama2c, llama2cV1].entries()) {
    const found = (await inspectLlama2c(path))!
    expect(found.header).toEqual({
      version,
      dim: config.hidden_size,
      hidden_dim: config.intermediate_size,
      n_layers: config.num_hidden_layers,
      n_heads: config.num_attention_heads,
      n_kv_heads: config.num_key_value_heads,
      vocab_size: config.vocab_size,
      max_seq_len: config.max_position_embeddings,
      shared_classifier: config.tie_word_embeddings,
    })
    expect(new Map([...found.tensors].map(([name, { shape }]) => [name, shape]))).toEqual(tensors)
  }
})

test('a file of PyTorch is none of llama2.c', async () => {
  const torch = fileURLToPath(new URL('../../tensor-backend/test/fixtures/files/torch/', import.meta.url))
  const path = join(folder, 'pytorch_model.bin')
  const files = readdirSync(torch).filter(name => !name.endsWith('.safetensors'))
  expect(files).toContain('legacy.bin')
  for (const file of files) {
    writeFileSync(path, readFileSync(join(torch, file)))
    expect(await inspectLlama2c(path)).toBeUndefined()
  }
})

isThere(meta)("Meta's layout loads when the number of heads is told, by params.json or by the caller", async () => {
  await expect(logits(meta)).rejects.toThrow(
    `${meta}: n_heads is missing, expected it in a params.json beside the weights. ` +
      'Add the file, or give config: { num_attention_heads }.',
  )
  const model = await AutoModelForCausalLM.fromPretrained(meta, { config: { num_attention_heads: 4 } })
  expect(model.config).toMatchObject({ vocabSize: 500, hiddenSize: 32, intermediateSize: 256, numHiddenLayers: 2 })
  writeFileSync(join(folder, 'params.json'), JSON.stringify({ dim: 32, n_layers: 2, n_heads: 4, norm_eps: 1e-5 }))
  writeFileSync(join(folder, 'consolidated.00.pth'), readFileSync(meta))
  expect(await logits(folder)).toEqual(logitsOf(model))
  model.dispose()
})

// `generate` of transformers 5.18, greedy, after "Once upon a time".
const TINY_STORIES = {
  prompt: [1, 80, 147, 201, 282, 57],
  written: [
    313, 598, 303, 1049, 1468, 267, 628, 333, 94, 1210, 263, 251, 604, 94, 1030, 94, 1030, 94, 436, 220, 1053, 615, 303,
    328, 552, 319, 1269, 163, 1945, 897,
  ],
}

const tinyStories = join(data, 'LearningInfiniTensor+learning-lm-rs/story')
isThere(tinyStories)('TinyStories-656K writes what transformers writes with it', async () => {
  const model = await AutoModelForCausalLM.fromPretrained(tinyStories)
  const [written] = await model.generate([TINY_STORIES.prompt], { maxNewTokens: 30 })
  expect(written).toEqual([...TINY_STORIES.prompt, ...TINY_STORIES.written])
  model.dispose()
})
