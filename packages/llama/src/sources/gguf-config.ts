import { type RopeParameters, ropeFrequencies } from '@heed/layers'
import { type GgufFile, HeedError } from '@heed/tensor-backend'
import type { HfConfig } from '@heed/transformer'
import { type GgufLayout, ggufLayouts } from './gguf-names.ts'

/** The key-value pairs of a GGUF file, by the name behind `<architecture>.` */
export class GgufNumbers {
  readonly architecture: string
  readonly layout: GgufLayout

  /** Throws HEED_CONFIG_INVALID on an architecture that is not of the family. */
  constructor(readonly file: Pick<GgufFile, 'name' | 'metadata' | 'tensors'>) {
    this.architecture = String(this.get('general.architecture'))
    const hasExperts = this.number('expert_count', 0) > 0
    const layout = ggufLayouts[this.architecture === 'llama' && hasExperts ? 'mixtral' : this.architecture]
    if (!layout || this.architecture === 'mixtral') {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `${file.name}: general.architecture is ${JSON.stringify(this.architecture)}, expected one of ` +
          `${Object.keys(ggufLayouts)
            .filter(name => name !== 'mixtral')
            .join(', ')}.`,
      )
    }
    this.layout = layout
  }

  get(key: string): unknown {
    return this.file.metadata.get(key)?.value
  }

  private full(key: string): string {
    return `${this.architecture}.${key}`
  }

  has(key: string): boolean {
    return this.file.metadata.has(this.full(key))
  }

  /** Throws HEED_CONFIG_INVALID when it is no number, or missing without a fallback. */
  number(key: string, fallback?: number): number {
    const value = this.get(this.full(key)) ?? fallback
    if (typeof value === 'number') return value
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${this.file.name}: ${this.full(key)} is ${value === undefined ? 'missing' : JSON.stringify(String(value))}, expected a number. ` +
        'Convert the model anew.',
    )
  }

  text(key: string): string | undefined {
    const value = this.get(this.full(key))
    return typeof value === 'string' ? value : undefined
  }

  private list(key: string): readonly unknown[] | undefined {
    const value = this.get(this.full(key))
    return Array.isArray(value) ? value : undefined
  }

  /** A number that a file may give layer by layer, when all layers have the same. Throws HEED_CONFIG_INVALID otherwise. */
  numberOfAllLayers(key: string, fallback?: number): number {
    const list = this.list(key)
    if (!list) return this.number(key, fallback)
    if (list.every(value => value === list[0]) && typeof list[0] === 'number') return list[0]
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${this.file.name}: ${this.full(key)} is ${JSON.stringify(list)}, expected the same for all layers. ` +
        'This version does not serve models whose layers differ in it.',
    )
  }
}

/** Known sets of LLaMA 3's rope numbers: GGUF keeps only the divisors that they give. */
const llama3Scalings = [8, 32].map(factor => ({
  rope_type: 'llama3',
  factor,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
}))

function llama3Divisor(
  frequency: number,
  { factor, original_max_position_embeddings: original }: (typeof llama3Scalings)[0],
): number {
  const wavelength = (2 * Math.PI) / frequency
  if (wavelength < original / 4) return 1
  if (wavelength > original) return factor
  const smooth = (original / wavelength - 1) / 3
  return 1 / ((1 - smooth) / factor + smooth)
}

/** Divisors of each frequency as rope numbers of HF: LLaMA 3's where they are these, else as `longrope` has them. */
function scalingOfDivisors(divisors: readonly number[], theta: number, context: number): HfConfig {
  const frequencies = divisors.map((_, i) => theta ** (-i / divisors.length))
  const isGivenBy = (scaling: (typeof llama3Scalings)[0]): boolean =>
    divisors.every((divisor, i) => Math.abs(divisor / llama3Divisor(frequencies[i]!, scaling) - 1) < 1e-4)
  const known = llama3Scalings.find(isGivenBy)
  return known ?? ownDivisors(divisors, 1, context)
}

/** Divisors of each frequency that are the same for texts of any length, as HF has them. */
function ownDivisors(divisors: readonly number[], attention: number, context: number): HfConfig {
  return {
    rope_type: 'longrope',
    short_factor: divisors,
    long_factor: divisors,
    attention_factor: attention,
    original_max_position_embeddings: context,
  }
}

/** How much positions are drawn together; 0 stands for nothing, as in llama.cpp. */
function scalingFactor(numbers: GgufNumbers, type: string): number {
  if (type === 'none') return 1
  const key = numbers.has('rope.scaling.factor') ? 'rope.scaling.factor' : 'rope.scale_linear' // of old files
  return numbers.number(key, 1) || 1
}

/** YaRN's divisor of each frequency times the file's own. */
function yarnDivisors(
  own: readonly number[],
  { theta, factor, original, rotaryDim }: { theta: number; factor: number; original: number; rotaryDim: number },
): number[] {
  const rope: RopeParameters = { ropeType: 'yarn', ropeTheta: theta, factor, originalMaxPositionEmbeddings: original }
  const plain = ropeFrequencies({ ropeType: 'default', ropeTheta: theta }, rotaryDim).inverse
  const { inverse } = ropeFrequencies(rope, rotaryDim)
  return own.map((divisor, i) => (divisor * plain[i]!) / inverse[i]!)
}

function checkLength(numbers: GgufNumbers, name: string, values: readonly number[], rotaryDim: number): void {
  if (values.length === rotaryDim / 2) return
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${numbers.file.name}: tensor "${name}" has ${values.length} numbers, expected ${rotaryDim / 2}, one for each pair of ` +
      'channels that turns. Convert the model anew.',
  )
}

/**
 * What llama.cpp reads of rope scaling, as HF's `rope_scaling`, with the same angles; the divisors are those of tensors of the
 * file. Its factor scales whether or not a type is given, and its `attn_factor` whatever the type.
 */
function ropeScaling(
  numbers: GgufNumbers,
  divisors: { all?: number[] | undefined; long?: number[] | undefined; short?: number[] | undefined },
  rotaryDim: number,
): HfConfig | null {
  const theta = numbers.number('rope.freq_base', 10000)
  const original = numbers.number('rope.scaling.original_context_length', numbers.number('context_length'))
  const type = numbers.text('rope.scaling.type') ?? 'linear'
  const factor = scalingFactor(numbers, type)
  const ownAttention = numbers.number('rope.scaling.attn_factor', 1)
  const { all, long, short } = divisors
  const isServed = type === 'none' || type === 'linear' || type === 'yarn' || (type === 'longrope' && (all || long))
  if (!isServed || (type === 'yarn' && long)) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${numbers.file.name}: ${numbers.architecture}.rope.scaling.type is "${type}", expected none, linear, yarn, or longrope with its tensors.`,
    )
  }
  if (ownAttention !== 1 && numbers.layout.modelType === 'gemma3_text') {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${numbers.file.name}: ${numbers.architecture}.rope.scaling.attn_factor is ${ownAttention}, expected 1 or none. ` +
        'This version does not scale the angles of layers with a window.',
    )
  }
  if (long && short) {
    checkLength(numbers, 'rope_factors_long.weight', long, rotaryDim)
    checkLength(numbers, 'rope_factors_short.weight', short, rotaryDim)
    return {
      rope_type: 'longrope',
      short_factor: short.map(divisor => divisor * factor),
      long_factor: long.map(divisor => divisor * factor),
      attention_factor: ownAttention,
      original_max_position_embeddings: original,
    }
  }
  if (all) checkLength(numbers, 'rope_freqs.weight', all, rotaryDim)
  if (type === 'yarn') {
    const attention = ownAttention * (1 + 0.1 * Math.log(factor))
    if (all) return ownDivisors(yarnDivisors(all, { theta, factor, original, rotaryDim }), attention, original)
    const yarn = { rope_type: 'yarn', factor, original_max_position_embeddings: original }
    return ownAttention === 1 ? yarn : { ...yarn, attention_factor: attention }
  }
  if (all && factor === 1 && ownAttention === 1) return scalingOfDivisors(all, theta, original)
  if (all || ownAttention !== 1) {
    const ofEach = all ?? Array.from({ length: rotaryDim / 2 }, () => 1)
    return ownDivisors(
      ofEach.map(divisor => divisor * factor),
      ownAttention,
      original,
    )
  }
  return factor === 1 ? null : { rope_type: 'linear', factor }
}

/** What a header claims of sizes is seen in its tensors before a model of these sizes is made. Throws HEED_CONFIG_INVALID. */
function checkSizes(numbers: GgufNumbers): void {
  const { file, architecture } = numbers
  const layers = new Set(Array.from(file.tensors.keys(), name => /^blk\.(\d+)\./.exec(name)?.[1]).filter(Boolean)).size
  const sizes = [
    ['block_count', layers, 'layers'],
    ['embedding_length', file.tensors.get('token_embd.weight')?.shape.at(-1), 'columns of token_embd.weight'],
    [
      'feed_forward_length',
      file.tensors.get('blk.0.ffn_down.weight')?.shape.at(-1),
      'columns of blk.0.ffn_down.weight',
    ],
  ] as const
  for (const [key, size, what] of sizes) {
    if (size === undefined) continue
    const claimed = numbers.numberOfAllLayers(key)
    if (claimed === size) continue
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${file.name}: ${architecture}.${key} is ${claimed}, expected ${size}, the ${what}. The file is damaged.`,
    )
  }
}

const tokenKeys = { bos_token_id: 'bos_token_id', eos_token_id: 'eos_token_id', pad_token_id: 'padding_token_id' }

/** The architecture, that of Mistral and Mixtral too, whose layers see all of the text in llama.cpp, whatever window the file has. */
export const WINDOWLESS = 'llama'

/** The config.json of a GGUF file's key-value pairs; `divisors` are the contents of its rope tensors. Throws HEED_CONFIG_INVALID. */
export function configOfGguf(numbers: GgufNumbers, divisors: Parameters<typeof ropeScaling>[1]): HfConfig {
  const { layout, file } = numbers
  checkSizes(numbers)
  const heads = numbers.numberOfAllLayers('attention.head_count')
  const hiddenSize = numbers.number('embedding_length')
  const headDim = numbers.number('attention.key_length', hiddenSize / heads)
  const table = file.tensors.get('token_embd.weight')
  const hasWindow = numbers.architecture !== WINDOWLESS && numbers.has('attention.sliding_window')
  const window = hasWindow ? numbers.number('attention.sliding_window') : null
  const rotaryDim = rotaryDimOf(numbers, headDim)
  const scaling = ropeScaling(numbers, divisors, rotaryDim)
  const rotaryShare = rotaryDim / headDim
  const tokens = Object.entries(tokenKeys).map(([key, ours]) => [key, numbers.get(`tokenizer.ggml.${ours}`) ?? null])
  return {
    model_type: layout.modelType,
    vocab_size: table?.shape[0] ?? numbers.number('vocab_size'),
    hidden_size: hiddenSize,
    intermediate_size: numbers.numberOfAllLayers('feed_forward_length', hiddenSize),
    num_hidden_layers: numbers.number('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: numbers.numberOfAllLayers('attention.head_count_kv', heads),
    head_dim: headDim,
    max_position_embeddings: numbers.number('context_length'),
    rms_norm_eps: float32Text(numbers.number('attention.layer_norm_rms_epsilon')),
    rope_theta: numbers.number('rope.freq_base', 10000),
    ...(rotaryShare !== 1 && { partial_rotary_factor: rotaryShare }),
    rope_scaling: scaling,
    tie_word_embeddings: !file.tensors.has('output.weight'),
    attention_bias: file.tensors.has('blk.0.attn_output.bias'),
    mlp_bias: file.tensors.has('blk.0.ffn_down.bias'),
    ...Object.fromEntries(tokens),
    ...(window !== null && { sliding_window: window }),
    ...gemmaNumbers(numbers),
    ...expertNumbers(numbers),
  }
}

/** How many channels of a head turn. Where they lie in pairs, as in llama.cpp, all do. Throws HEED_CONFIG_INVALID. */
function rotaryDimOf(numbers: GgufNumbers, headDim: number): number {
  const claimed = numbers.number('rope.dimension_count', headDim)
  if (claimed === headDim || !numbers.layout.isPaired) return claimed
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${numbers.file.name}: ${numbers.architecture}.rope.dimension_count is ${claimed}, expected ${headDim}, the size of a head: ` +
      'heads of this architecture turn whole, in llama.cpp too. Keep such a model as an HF folder.',
  )
}

/** The shortest decimal that is this float32: 1e-5, and not 0.000009999999747378752. */
function float32Text(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === Math.fround(value)) return short
  }
  return value
}

function gemmaNumbers(numbers: GgufNumbers): HfConfig {
  if (!numbers.layout.countsNormsFromOne || numbers.layout.modelType === 'gemma') return {}
  const cap = (key: string): number | null => (numbers.has(key) ? numbers.number(key) : null)
  // llama.cpp knows the scale of the one size whose heads are not what it is by: 27B, hidden / heads.
  const heads = numbers.numberOfAllLayers('attention.head_count')
  const hidden = numbers.number('embedding_length')
  const isLargest = (heads === 32 && hidden === 4608) || (heads === 32 && hidden === 5376)
  return {
    query_pre_attn_scalar: isLargest ? hidden / heads : numbers.number('attention.key_length'),
    attn_logit_softcapping: cap('attn_logit_softcapping'),
    final_logit_softcapping: cap('final_logit_softcapping'),
    ...(numbers.layout.modelType === 'gemma3_text' && {
      rope_local_base_freq: numbers.number('rope.freq_base_swa', 10000),
    }),
  }
}

function expertNumbers(numbers: GgufNumbers): HfConfig {
  const count = numbers.number('expert_count', 0)
  if (count === 0) return {}
  const used = { num_experts_per_tok: numbers.number('expert_used_count') }
  if (numbers.layout.modelType === 'mixtral') return { ...used, num_local_experts: count }
  const isQwen2 = numbers.layout.modelType === 'qwen2_moe'
  return {
    ...used,
    num_experts: count,
    moe_intermediate_size: numbers.number('expert_feed_forward_length'),
    // llama.cpp scales the chosen probabilities of Qwen3's experts to sum to 1 and not those of Qwen2's.
    norm_topk_prob: !isQwen2,
    ...(isQwen2 && { shared_expert_intermediate_size: numbers.number('expert_shared_feed_forward_length') }),
  }
}
