import { type RopeParameters, ropeFrequencies } from '@heed/layers'
import {
  type GgmlFloatType,
  type GgufField,
  ggmlTypes,
  HeedError,
  quantizeTensorInTurns,
  tf,
  type WritableGgmlTensor,
  writeGguf,
} from '@heed/tensor-backend'
import type { Checkpoint, CheckpointTensors } from '@heed/transformer'
import { type LlamaConfig, ropeParameters, rotaryDim } from '../config.ts'
import type { Gemma2Config, Gemma3Config } from '../gemma.ts'
import type { MixtralConfig, Qwen2MoeConfig, QwenMoeConfig } from '../mixtral.ts'
import { relatives } from '../relatives-by-type.ts'
import { configOfGguf, GgufNumbers, WINDOWLESS } from './gguf-config.ts'
import { type GgufLayout, ggufLayouts, ggufName } from './gguf-names.ts'
import { pairsFromHalves } from './rotary-rows.ts'

/** `tokenizer.*` pairs, as `exportGgufVocabulary` of `@heed/tokenizer` makes them. */
export type GgufVocabularyPairs = ReadonlyMap<string, GgufField>

export interface WriteGgufModelOptions {
  /** What matrices are written as; norms, biases and routers stay float32. F32 by default. */
  type?: GgmlFloatType
  /** The tokenizer; llama.cpp needs one to read texts. */
  vocabulary?: GgufVocabularyPairs
  /** What people call the model. */
  name?: string
  onProgress?: (progress: { key: string; written: number; total: number }) => void
  /** Told of what llama.cpp computes otherwise; `console.warn` by default. */
  onWarning?: (message: string) => void
}

/** Numbers of `general.file_type`, by which tools name what most matrices are. */
const fileTypes: Readonly<Record<GgmlFloatType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 7,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 14,
  Q5_K: 16,
  Q6_K: 18,
  BF16: 32,
}

/** As llama.cpp names it; without the key it refuses to load the file. */
const noVocabulary: GgufVocabularyPairs = new Map([['tokenizer.ggml.model', { type: 'string', value: 'none' }]])

/** HF's `model_type` to GGUF's `general.architecture` where that is not what the layout is called. */
const architectures: Readonly<Record<string, string>> = { mistral: 'llama', mixtral: 'llama' }

/**
 * Writes any checkpoint of the family, a tensor at a time, as a GGUF file that llama.cpp and `fromPretrained` load.
 * Embeddings and head keep more bits: Q8_0 under Q4_0, Q6_K under a K-quant. Matrices whose rows are no multiple of 256 are
 * Q8_0 where a K-quant was asked for, and those whose rows are no multiple of 32 F16 for any type of blocks.
 * Throws HEED_CONFIG_INVALID on what GGUF cannot say, HEED_NUMERIC, HEED_IO.
 */
export async function writeGgufModel(
  path: string,
  checkpoint: Checkpoint,
  { type = 'F32', vocabulary = noVocabulary, name, onProgress, onWarning = console.warn }: WriteGgufModelOptions = {},
): Promise<void> {
  const [adapter] = checkpoint.adapters ?? []
  if (adapter) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${adapter.source}: this is an adapter, expected a model to write as GGUF. Save it as a folder first, which merges it.`,
    )
  }
  const modelType = String(checkpoint.config.model_type)
  const relative = relatives[modelType]
  const [architecture, layout] = layoutOf(modelType)
  if (!relative) throw unknownType(checkpoint.source, modelType)
  const given = relative.config.fromHf(checkpoint.config, checkpoint.source)
  const config = architecture === WINDOWLESS ? withoutWindow(given) : given
  const source = await checkpoint.openTensors()
  try {
    const metadata = new Map<string, GgufField>([
      ['general.architecture', text(architecture)],
      ...(name === undefined ? [] : [['general.name', text(name)] as const]),
      ['general.file_type', whole(fileTypes[type])],
      ...Object.entries(numbersOf(config, modelType, checkpoint.source)).map(
        ([key, field]) => [`${architecture}.${key}`, field] as const,
      ),
      ...vocabulary,
    ])
    const { tensors, divisors } = plannedTensors(source, config, layout, type, onProgress)
    checkReadsBack(checkpoint.source, config, { metadata, tensors, divisors })
    warnOfWindow(checkpoint.source, given, architecture, onWarning)
    await writeGguf(path, { metadata, tensors: new Map([...divisors, ...tensors]) })
  } finally {
    await source.close()
  }
}

function withoutWindow(config: LlamaConfig): LlamaConfig {
  return { ...config, slidingWindow: null, layerTypes: config.layerTypes.map(() => 'full_attention') }
}

/** Says which windows are lost: those of Phi-3, which the file has, in llama.cpp alone. */
function warnOfWindow(
  source: string,
  { modelType, slidingWindow: window, maxPositionEmbeddings: context }: LlamaConfig,
  architecture: string,
  onWarning: (message: string) => void,
): void {
  if (window === null || window >= context || (architecture !== WINDOWLESS && architecture !== 'phi3')) return
  const where = architecture === WINDOWLESS ? 'from the file' : 'there. Heed reads it from the file'
  onWarning(
    `${source}: slidingWindow is ${window}, which llama.cpp has not for ${modelType}: texts of more tokens come out otherwise ${where}.`,
  )
}

/** What neither changes numbers nor is in a GGUF file. */
const besideNumbers = new Set(
  'modelType otherKeys floatKeys attentionDropout initializerRange labels problemType bosTokenId eosTokenId padTokenId'.split(
    ' ',
  ),
)

/** Throws HEED_CONFIG_INVALID when the file would be read as another model, since GGUF has no key for what differs. */
function checkReadsBack(
  source: string,
  config: LlamaConfig,
  { metadata, tensors, divisors }: Planned & { metadata: Map<string, GgufField> },
): void {
  const infos = new Map(
    Array.from(tensors, ([name, { type, shape }]) => [name, { type, shape, byteOffset: 0, byteLength: 0 }]),
  )
  const floats = (name: string): number[] | undefined =>
    divisors.get(name) && [...new Float32Array((divisors.get(name)!.bytes as Uint8Array).buffer)]
  const hf = configOfGguf(new GgufNumbers({ name: source, metadata, tensors: infos }), {
    all: floats('rope_freqs.weight'),
    long: floats('rope_factors_long.weight'),
    short: floats('rope_factors_short.weight'),
  })
  const found = relatives[hf.model_type as string]!.config.fromHf(hf, source)
  const foundValues = found as unknown as Record<string, unknown>
  for (const [name, value] of Object.entries(config)) {
    if (besideNumbers.has(name) || isSame(value, foundValues[name])) continue
    if (name === 'ropeScaling' && isSame(anglesOf(config), anglesOf(found))) continue
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${source}: ${name} is ${JSON.stringify(value)}, but GGUF, which has no key for it, means ${JSON.stringify(foundValues[name])}. ` +
        'Keep this model as an HF folder.',
    )
  }
}

/** The angles of short and of long sequences, which several rope types may give alike. */
function anglesOf(config: LlamaConfig): unknown {
  const rope = ropeParameters(config)
  return [1, config.maxPositionEmbeddings + 1].map(seqLen => {
    const { inverse, attentionFactor } = ropeFrequencies(rope, rotaryDim(config), seqLen)
    return { ...Array.from(inverse), attentionFactor }
  })
}

/** Equal, floats as float32 and so within its rounding. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) <= 1e-6 * Math.abs(a)
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  return Object.entries(a).every(([key, value]) => isSame(value, (b as Record<string, unknown>)[key]))
}

function unknownType(source: string, modelType: string): HeedError {
  return new HeedError(
    'HEED_CONFIG_INVALID',
    `${source}: model_type is "${modelType}", expected one of ${Object.keys(relatives).join(', ')}.`,
  )
}

function layoutOf(modelType: string): [architecture: string, layout: GgufLayout] {
  const key = modelType === 'mistral' ? 'llama' : modelType
  const [name, layout] = Object.entries(ggufLayouts).find(([, { modelType: of }]) => of === key) ?? []
  if (!name || !layout) throw unknownType('GGUF', modelType)
  return [architectures[modelType] ?? name, layout]
}

const text = (value: string): GgufField => ({ type: 'string', value })
const whole = (value: number): GgufField => ({ type: 'uint32', value })
const real = (value: number): GgufField => ({ type: 'float32', value })

/** The configuration as llama.cpp reads it. */
function numbersOf(config: LlamaConfig, modelType: string, source: string): Record<string, GgufField> {
  const { numAttentionHeads: heads, headDim, ropeScaling: scaling } = config
  const rope: Record<string, GgufField> = {
    'rope.dimension_count': whole(Math.floor(headDim * config.partialRotaryFactor)),
    'rope.freq_base': real(config.ropeTheta),
  }
  if (scaling?.ropeType === 'linear' || scaling?.ropeType === 'yarn') {
    rope['rope.scaling.type'] = text(scaling.ropeType)
    rope['rope.scaling.factor'] = real(scaling.factor!)
  }
  if (scaling?.ropeType === 'dynamic') {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${source}: ropeType is "dynamic", expected one that llama.cpp has: default, linear, yarn, llama3, longrope.`,
    )
  }
  if (scaling && 'originalMaxPositionEmbeddings' in scaling) {
    rope['rope.scaling.original_context_length'] = whole(scaling.originalMaxPositionEmbeddings)
  }
  if (scaling?.ropeType === 'longrope') {
    const factor = config.maxPositionEmbeddings / scaling.originalMaxPositionEmbeddings
    const ownFactor = Math.sqrt(1 + Math.log(Math.max(1, factor)) / Math.log(scaling.originalMaxPositionEmbeddings))
    rope['rope.scaling.attn_factor'] = real(scaling.attentionFactor ?? ownFactor)
  }
  return {
    context_length: whole(config.maxPositionEmbeddings),
    embedding_length: whole(config.hiddenSize),
    block_count: whole(config.numHiddenLayers),
    feed_forward_length: whole(config.intermediateSize),
    'attention.head_count': whole(heads),
    'attention.head_count_kv': whole(config.numKeyValueHeads),
    'attention.key_length': whole(headDim),
    'attention.value_length': whole(headDim),
    'attention.layer_norm_rms_epsilon': real(config.rmsNormEps),
    vocab_size: whole(config.vocabSize),
    ...rope,
    ...(config.slidingWindow !== null && { 'attention.sliding_window': whole(config.slidingWindow) }),
    ...gemmaNumbers(config, modelType),
    ...expertNumbers(config, modelType),
  }
}

function gemmaNumbers(config: LlamaConfig, modelType: string): Record<string, GgufField> {
  if (modelType !== 'gemma2' && modelType !== 'gemma3_text') return {}
  const { attnLogitSoftcapping: scores, finalLogitSoftcapping: logits } = config as Gemma2Config
  return {
    ...(scores !== null && { attn_logit_softcapping: real(scores) }),
    ...(logits !== null && { final_logit_softcapping: real(logits) }),
    ...(modelType === 'gemma3_text' && { 'rope.freq_base_swa': real((config as Gemma3Config).ropeLocalBaseFreq) }),
  }
}

function expertNumbers(config: LlamaConfig, modelType: string): Record<string, GgufField> {
  if (!('numExperts' in config)) return {}
  const { numExperts, numExpertsPerTok } = config as MixtralConfig
  const counts = { expert_count: whole(numExperts), expert_used_count: whole(numExpertsPerTok) }
  if (modelType === 'mixtral') return counts
  return {
    ...counts,
    expert_feed_forward_length: whole((config as QwenMoeConfig).moeIntermediateSize),
    ...(modelType === 'qwen2_moe' && {
      expert_shared_feed_forward_length: whole((config as Qwen2MoeConfig).sharedExpertIntermediateSize),
    }),
  }
}

interface Planned {
  tensors: Map<string, WritableGgmlTensor>
  /** Rope divisors, which llama.cpp keeps as tensors. */
  divisors: Map<string, WritableGgmlTensor>
}

function plannedTensors(
  source: CheckpointTensors,
  config: LlamaConfig,
  layout: GgufLayout,
  type: GgmlFloatType,
  onProgress: WriteGgufModelOptions['onProgress'],
): Planned {
  const partsOf = new Map<string, { key: string; expert: number }[]>() // by GGUF's name
  for (const key of source.tensors.keys()) {
    const table = 'model.embed_tokens.weight'
    const isTiedHead = key === 'lm_head.weight' && config.tieWordEmbeddings // the one table may go by either name
    if ((isTiedHead && source.tensors.has(table)) || /rotary_emb\.inv_freq$/.test(key)) continue
    const place = ggufName(isTiedHead ? table : key, layout)
    if (!place) throw new HeedError('HEED_FILE_INVALID', `${source.name}: tensor "${key}" has no place in GGUF.`)
    const parts = partsOf.get(place.name) ?? []
    parts.push({ key, expert: place.expert ?? 0 })
    partsOf.set(place.name, parts)
  }
  let written = 0
  const tensors = new Map<string, WritableGgmlTensor>()
  for (const [name, parts] of partsOf) {
    const { shape } = source.tensors.get(parts[0]!.key)!
    const isRow = name.includes('ffn_gate_inp_shexp') // [1, hiddenSize], a vector there
    const isStack = /_exps\.weight$/.test(name)
    const fullShape = isRow ? shape.slice(-1) : isStack ? [parts.length, ...shape] : shape
    const kind = typeOf(name, fullShape, type)
    const bytes = async (): Promise<Uint8Array> => {
      const pieces: Uint8Array[] = []
      for (const { key } of parts.sort((a, b) => a.expert - b.expert)) {
        pieces.push(await encoded(source, key, name, config, layout, kind))
      }
      written += 1
      onProgress?.({ key: name, written, total: partsOf.size })
      return pieces.length === 1 ? pieces[0]! : concatenated(pieces)
    }
    tensors.set(name, { type: kind, shape: fullShape, bytes })
  }
  return { tensors, divisors: divisorTensors(config) }
}

function typeOf(name: string, shape: readonly number[], type: GgmlFloatType): GgmlFloatType {
  if (shape.length < 2 || name.includes('ffn_gate_inp')) return 'F32'
  const isSensitive = name === 'token_embd.weight' || name === 'output.weight'
  const isInGroups = ggmlTypes[type].elements === 256
  const wanted = !isSensitive ? type : isInGroups ? 'Q6_K' : type === 'Q4_0' ? 'Q8_0' : type
  const fits = (other: GgmlFloatType) => shape.at(-1)! % ggmlTypes[other].elements === 0
  return ([wanted, 'Q8_0', 'F16'] as const).find(fits)!
}

async function encoded(
  source: CheckpointTensors,
  key: string,
  name: string,
  config: LlamaConfig,
  { isPaired = false, countsNormsFromOne = false }: GgufLayout,
  type: GgmlFloatType,
): Promise<Uint8Array> {
  const tensor = await source.read(key)
  const rows = tensor.shape[0]!
  const stored = countsNormsFromOne && /norm\.weight$/.test(name) ? tf.add(tensor, 1) : tensor
  const bytes = await quantizeTensorInTurns(stored, type, `${source.name}: tensor "${key}"`).finally(() =>
    tf.dispose([tensor, stored]),
  )
  const heads = /\.attn_q\./.test(name)
    ? config.numAttentionHeads
    : /\.attn_k\./.test(name)
      ? config.numKeyValueHeads
      : undefined
  return isPaired && heads !== undefined ? pairsFromHalves(bytes, rows, heads) : bytes
}

function concatenated(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** LLaMA 3's stretching and LongRoPE as the divisors of each frequency. */
function divisorTensors(config: LlamaConfig): Map<string, WritableGgmlTensor> {
  const floats = (values: readonly number[]): WritableGgmlTensor => ({
    type: 'F32',
    shape: [values.length],
    bytes: new Uint8Array(Float32Array.from(values).buffer),
  })
  const { ropeScaling: scaling, headDim, ropeTheta: theta } = config
  if (scaling?.ropeType === 'longrope') {
    const { longFactor, shortFactor } = scaling
    return new Map([
      ['rope_factors_long.weight', floats(longFactor)],
      ['rope_factors_short.weight', floats(shortFactor)],
    ])
  }
  if (scaling?.ropeType !== 'llama3') return new Map()
  const rotaryDim = Math.floor(headDim * config.partialRotaryFactor)
  const { inverse } = ropeFrequencies({ ropeTheta: theta, ...scaling } as RopeParameters, rotaryDim)
  const divisors = Array.from(inverse, (frequency, i) => theta ** ((-2 * i) / rotaryDim) / frequency)
  return new Map([['rope_freqs.weight', floats(divisors)]])
}
