import { Embedding, type Linear } from '@heed/layers'
import { type QuantizedType, QuantizedWeight, tf } from '@heed/tensor-backend'
import type { CheckpointTensors } from './checkpoint-format.ts'

/** What the matrices of a model are kept as in memory; `auto` keeps what the file has. */
export type WeightDtype = (typeof weightDtypes)[number]

export const weightDtypes = ['auto', 'float32', 'float16', 'bfloat16', 'q8_0', 'q4_0'] as const

type MadeType = Extract<QuantizedType, 'Q8_0' | 'Q4_0' | 'F16' | 'BF16'>

const types: Readonly<Record<string, MadeType>> = { float16: 'F16', bfloat16: 'BF16', q8_0: 'Q8_0', q4_0: 'Q4_0' }

/** Values that a scale of ggml's small types is shared by. */
const BLOCK = 32

/** Routers of experts stay as they are: a rounding there sends a token to another expert. */
const isRouter = (key: string): boolean => /\.(gate|shared_expert_gate)\.weight$/.test(key)

/**
 * The weight of `layers` in the few bits that `dtype` asks for, or undefined when it is to be float32. Under `q4_0`, embeddings
 * and the head have 8 bits, as they decide most about the choice of tokens. Throws as `file.read`, HEED_NUMERIC.
 */
export async function readInFewBits(
  file: CheckpointTensors,
  { name, key, layers }: { name: string; key: string; layers: readonly (Linear | Embedding)[] },
  dtype: WeightDtype,
): Promise<QuantizedWeight | undefined> {
  const { shape, dtype: stored } = file.tensors.get(name)!
  if (dtype === 'float32' || layers.length === 0 || isRouter(key)) return undefined
  const isEmbedding = (layer: Linear | Embedding): boolean => layer instanceof Embedding
  const kept = dtype === 'auto' ? await file.readQuantized?.(name, { isTable: layers.every(isEmbedding) }) : undefined
  if (kept) return kept
  const isSensitive = layers.some(isEmbedding) || /(^|\.)lm_head\.weight$/.test(key)
  const wanted = dtype === 'auto' ? stored : dtype === 'q4_0' && isSensitive ? 'Q8_0' : types[dtype]!
  const [rows, cols] = shape as [number, number]
  const isHalf = wanted === 'F16' || wanted === 'BF16'
  if (isHalf && stored === wanted) {
    const { bytes } = await file.readRaw(name)
    return QuantizedWeight.fromBytes(wanted, [rows, cols], bytes)
  }
  if (dtype === 'auto' || (!isHalf && cols % BLOCK !== 0)) return undefined
  const tensor = await file.read(name)
  try {
    return QuantizedWeight.quantize(tensor, wanted as MadeType)
  } finally {
    tf.dispose(tensor)
  }
}
