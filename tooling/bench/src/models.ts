import { existsSync, mkdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { skipInitialization } from '@heed/layers'
import {
  type GgmlType,
  type GgufField,
  ggmlTypes,
  init,
  tf,
  type WritableGgmlTensor,
  writeGguf,
} from '@heed/tensor-backend'
import { Gpt2LMHeadModel, gpt2Config } from '@heed/transformer'

/** Models of random weights, made once and kept: their sizes are what matters. */
const folder = process.env.HEED_BENCH_MODELS ?? join(tmpdir(), 'heed-bench-models')

/** What the matrices of the LLaMA are kept as. */
type LlamaType = 'Q8_0' | 'Q4_0' | 'Q4_K' | 'Q6_K' | 'F16' | 'F32'

/** TinyLlama's shape. */
const llama = { layers: 22, hidden: 2048, inner: 5632, heads: 32, keyHeads: 4, vocab: 32000 }

/** A few megabytes of random bytes, over and over. Marsaglia 2003, "Xorshift RNGs". */
function randomBytes(count: number, seed: number): Uint8Array {
  const words = new Int32Array(1 << 20)
  let state = seed
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  const period = new Uint8Array(words.buffer)
  const bytes = new Uint8Array(count)
  for (let at = 0; at < count; at += period.length) bytes.set(period.subarray(0, count - at), at)
  return bytes
}

/** Floats uniform around 0 with a standard deviation of 0.02. */
function randomFloats(count: number, seed: number): Float32Array {
  const words = new Int32Array(randomBytes(4 * count, seed).buffer)
  const floats = new Float32Array(words.buffer)
  const scale = (0.02 * Math.sqrt(3)) / 2 ** 31
  for (let i = 0; i < count; i++) floats[i] = scale * words[i]!
  return floats
}

/** Where the float16 scales of a block lie and the high byte that makes weights of about 0.02. */
const blockScales: Partial<Record<GgmlType, { at: number[]; high: number }>> = {
  Q8_0: { at: [0], high: 0x0c }, // 2^-12
  Q4_0: { at: [0], high: 0x1c }, // 2^-8
  Q4_K: { at: [0, 2], high: 0x04 }, // 2^-14
  Q6_K: { at: [208], high: 0x01 }, // 2^-16, the scales of its parts are signed bytes
}

function randomBlocks(type: LlamaType, count: number, seed: number): Uint8Array {
  if (type === 'F32') return new Uint8Array(randomFloats(count, seed).buffer)
  const { elements, bytes: blockBytes } = ggmlTypes[type]
  const bytes = randomBytes((count / elements) * blockBytes, seed)
  if (type === 'F16') {
    for (let i = 1; i < bytes.length; i += 2) bytes[i] = 0x24 + (bytes[i]! & 0x83) // about 0.015 to 0.06, both signs
    return bytes
  }
  const { at, high } = blockScales[type]!
  for (let block = 0; block < bytes.length; block += blockBytes) {
    for (const offset of at) {
      bytes[block + offset] = 0
      bytes[block + offset + 1] = high
    }
  }
  return bytes
}

/** Special tokens, then the 256 bytes, which llama.cpp insists on, then words. */
function tokenOf(id: number): string {
  const byte = (id - 3).toString(16).toUpperCase().padStart(2, '0')
  return ['<unk>', '<s>', '</s>'][id] ?? (id < 259 ? `<0x${byte}>` : `▁w${id}`)
}

function llamaMetadata(): Map<string, GgufField> {
  const { layers, hidden, inner, heads, keyHeads, vocab } = llama
  const ids = Array.from({ length: vocab }, (_, i) => i)
  const whole = (value: number): GgufField => ({ type: 'uint32', value })
  const real = (value: number): GgufField => ({ type: 'float32', value })
  const text = (value: string): GgufField => ({ type: 'string', value })
  return new Map<string, GgufField>([
    ['general.architecture', text('llama')],
    ['general.name', text('random llama')],
    ['llama.context_length', whole(32768)],
    ['llama.embedding_length', whole(hidden)],
    ['llama.block_count', whole(layers)],
    ['llama.feed_forward_length', whole(inner)],
    ['llama.attention.head_count', whole(heads)],
    ['llama.attention.head_count_kv', whole(keyHeads)],
    ['llama.attention.layer_norm_rms_epsilon', real(1e-5)],
    ['llama.rope.dimension_count', whole(hidden / heads)],
    ['llama.rope.freq_base', real(10000)],
    ['llama.vocab_size', whole(vocab)],
    ['tokenizer.ggml.model', text('llama')],
    ['tokenizer.ggml.tokens', { type: 'string', value: ids.map(tokenOf) }],
    ['tokenizer.ggml.scores', { type: 'float32', value: ids.map(i => -i) }],
    ['tokenizer.ggml.token_type', { type: 'int32', value: ids.map(i => [2, 3, 3][i] ?? (i < 259 ? 6 : 1)) }],
    ['tokenizer.ggml.unknown_token_id', whole(0)],
    ['tokenizer.ggml.bos_token_id', whole(1)],
    ['tokenizer.ggml.eos_token_id', whole(2)],
  ])
}

async function writeLlama(path: string, type: LlamaType): Promise<void> {
  const { layers, hidden, inner, heads, keyHeads, vocab } = llama
  const keySize = (hidden / heads) * keyHeads
  const matrices: Array<[name: string, rows: number, cols: number]> = [
    ['token_embd', vocab, hidden],
    ...Array.from({ length: layers }, (_, i): typeof matrices => [
      [`blk.${i}.attn_q`, hidden, hidden],
      [`blk.${i}.attn_k`, keySize, hidden],
      [`blk.${i}.attn_v`, keySize, hidden],
      [`blk.${i}.attn_output`, hidden, hidden],
      [`blk.${i}.ffn_gate`, inner, hidden],
      [`blk.${i}.ffn_up`, inner, hidden],
      [`blk.${i}.ffn_down`, hidden, inner],
    ]).flat(),
    ['output', vocab, hidden],
  ]
  const norms = [
    ...Array.from({ length: layers }, (_, i) => [`blk.${i}.attn_norm`, `blk.${i}.ffn_norm`]).flat(),
    'output_norm',
  ]
  const ones = new Uint8Array(new Float32Array(hidden).fill(1).buffer)
  await writeGguf(path, {
    metadata: llamaMetadata(),
    tensors: new Map<string, WritableGgmlTensor>([
      ...norms.map(name => [`${name}.weight`, { type: 'F32', shape: [hidden], bytes: ones }] as const),
      ...matrices.map(([name, rows, cols], i) => {
        const bytes = async (): Promise<Uint8Array> => randomBlocks(type, rows * cols, i + 1)
        return [`${name}.weight`, { type, shape: [rows, cols], bytes }] as const
      }),
    ]),
  })
}

async function writeGpt2(path: string): Promise<void> {
  await init({ backend: 'native' })
  const model = skipInitialization(() => new Gpt2LMHeadModel(gpt2Config.complete({})))
  let seed = 0
  for (const [key, parameter] of model.namedParameters()) {
    seed++
    const isScale = /ln_\w+\.weight$/.test(key)
    const value = isScale ? tf.ones(parameter.shape) : tf.tensor(randomFloats(parameter.size, seed), parameter.shape)
    parameter.assign(value)
    value.dispose()
  }
  await model.savePretrained(path)
  model.dispose()
}

function pathOf(name: string): string {
  return join(folder, name === 'gpt2' ? 'gpt2-124m' : `${name.replace('llama', 'llama-1.1b')}.gguf`)
}

/** The path of a model of random weights: `gpt2`, an HF folder, or `llama-` and a type of ggml, a GGUF file. */
export async function modelPath(name: string): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const path = pathOf(name)
  if (name !== 'gpt2' && !existsSync(path)) await writeLlama(path, name.slice('llama-'.length) as LlamaType)
  if (name === 'gpt2' && !existsSync(join(path, 'config.json'))) await writeGpt2(path)
  return path
}

/** Bytes of the weights on disk. */
export function modelBytes(name: string): number {
  const path = pathOf(name)
  return statSync(name === 'gpt2' ? join(path, 'model.safetensors') : path).size
}
