import type { Shader } from '../../backends/webgpu-device.ts'
import type { tf } from '../../tf.ts'
import type { AttentionAttributes } from '../attention-kernels.ts'
import { dropoutFunction, dropoutParams, dropoutValues } from './dropout.ts'

/** What the shaders of attention are compiled for: room for vectors of so many channels, and which tensors there are. */
export interface AttentionVariant {
  /** Multiples of 64, the threads of a workgroup. */
  headDim: number
  valueDim: number
  hasBias: boolean
  hasMask: boolean
}

/** [q, k, v, bias?, mask?] and attributes, as shaders take them. */
export interface AttentionProblem {
  variant: AttentionVariant
  tensors: Record<string, tf.TensorInfo>
  params: Record<keyof typeof attentionParams, number>
}

const sizesAndSettings = {
  batches: 'u32',
  queries: 'u32',
  keys: 'u32',
  capacity: 'u32',
  heads: 'u32',
  kv_heads: 'u32',
  head_dim: 'u32',
  value_dim: 'u32',
  is_causal: 'u32',
  window: 'u32',
  scale: 'f32',
  softcap: 'f32',
  bias_batch: 'u32',
  bias_head: 'u32',
  bias_row: 'u32',
} as const

export const attentionParams: typeof sizesAndSettings & typeof dropoutParams = { ...sizesAndSettings, ...dropoutParams }

/** Elements from one batch, head and query of a bias to the next; 0 along an axis of size 1. */
function biasStrides(shape: number[] | undefined): [number, number, number] {
  if (!shape) return [0, 0, 0]
  const strides = [shape[1]! * shape[2]! * shape[3]!, shape[2]! * shape[3]!, shape[3]!]
  return strides.map((stride, axis) => (shape[axis] === 1 ? 0 : stride)) as [number, number, number]
}

function roomFor(channels: number): number {
  return 64 * Math.max(1, Math.ceil(channels / 64))
}

export function attentionProblem(inputs: tf.TensorInfo[], attributes: AttentionAttributes): AttentionProblem {
  const { hasBias, hasMask, keyLen, isCausal, window, scale, softcap, rate, seed } = attributes
  const [q, k, v] = inputs as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]
  const [batches, queries, heads, head_dim] = q.shape as [number, number, number, number]
  const [, capacity, kv_heads] = k.shape as [number, number, number, number]
  const value_dim = v.shape[3]!
  const [bias_batch, bias_head, bias_row] = biasStrides(hasBias ? inputs[3]!.shape : undefined)
  return {
    variant: { headDim: roomFor(head_dim), valueDim: roomFor(value_dim), hasBias, hasMask },
    tensors: { q, k, v, ...(hasBias && { bias: inputs[3]! }), ...(hasMask && { mask: inputs.at(-1)! }) },
    params: {
      ...{ batches, queries, keys: keyLen, capacity, heads, kv_heads, head_dim, value_dim },
      ...{ is_causal: isCausal ? 1 : 0, window, scale, softcap },
      ...{ bias_batch, bias_head, bias_row },
      ...dropoutValues(rate, seed),
    },
  }
}

export function attentionReads({ hasBias, hasMask }: AttentionVariant): Shader['reads'] {
  return { q: 'f32', k: 'f32', v: 'f32', ...(hasBias && { bias: 'f32' }), ...(hasMask && { mask: 'i32' }) }
}

/** One shader for each variant, made when it is first asked for. */
export function perVariant(make: (variant: AttentionVariant) => Shader): (variant: AttentionVariant) => Shader {
  const made = new Map<string, Shader>()
  return variant => {
    const key = Object.values(variant).join()
    const shader = made.get(key) ?? make(variant)
    made.set(key, shader)
    return shader
  }
}

/**
 * What the shaders share. A workgroup has 64 threads. The rows of a key head are its queries and, of each, the heads of its
 * group: row r is query r / group of the head kv · group + r % group, so that a group of heads reads its keys together.
 */
export function attentionFunctions({ headDim, valueDim, hasBias, hasMask }: AttentionVariant): string {
  return `
const LANES = 64u;
const MAX_HEAD_DIM = ${headDim}u;
const MAX_VALUE_DIM = ${valueDim}u;
const HIDDEN = -3.4028234e38; // the score of a key that is not seen; infinities need not work in WGSL
const VISIBLE = -3e38;
${dropoutFunction}
fn query_at(b: u32, i: u32, h: u32) -> u32 { return ((b * params.queries + i) * params.heads + h) * params.head_dim; }
fn out_at(b: u32, i: u32, h: u32) -> u32 { return ((b * params.queries + i) * params.heads + h) * params.value_dim; }
fn key_at(b: u32, j: u32, kv: u32) -> u32 { return ((b * params.capacity + j) * params.kv_heads + kv) * params.head_dim; }
fn value_at(b: u32, j: u32, kv: u32) -> u32 { return ((b * params.capacity + j) * params.kv_heads + kv) * params.value_dim; }
fn row_at(b: u32, i: u32, h: u32) -> u32 { return (b * params.heads + h) * params.queries + i; }
fn score_at(b: u32, i: u32, h: u32, j: u32) -> u32 { return row_at(b, i, h) * params.keys + j; }

fn is_padding(b: u32, j: u32) -> bool {
  ${hasMask ? 'return mask[b * params.keys + j] == 0;' : 'return false;'}
}

// The keys [x, y) that query i may see, before padding.
fn visible_keys(i: u32) -> vec2<u32> {
  if (params.is_causal == 0) { return vec2(0, params.keys); }
  let end = max(0, i32(i + 1 + params.keys) - i32(params.queries));
  let start = select(0, max(0, end - i32(params.window)), params.window > 0);
  return vec2(u32(start), min(u32(end), params.keys));
}

fn is_visible(b: u32, i: u32, j: u32) -> bool {
  let seen = visible_keys(i);
  return j >= seen.x && j < seen.y && !is_padding(b, j);
}

// From the product of a query and a key to their score.
fn score_of(product: f32, b: u32, i: u32, h: u32, j: u32) -> f32 {
  var score = product * params.scale;
  if (params.softcap > 0) { score = params.softcap * tanh(clamp(score / params.softcap, -15, 15)); }
  ${hasBias ? 'score += bias[b * params.bias_batch + h * params.bias_head + i * params.bias_row + j];' : ''}
  return max(score, HIDDEN);
}

// d score / d product
fn score_slope(product: f32) -> f32 {
  if (params.softcap == 0) { return params.scale; }
  let t = tanh(clamp(product * params.scale / params.softcap, -15, 15));
  return params.scale * (1 - t * t);
}
`
}

/** Rows or keys that a workgroup takes at a time; fewer of long vectors, since these lie in 16 KB of shared memory. */
export function tileSize(floatsEach: number): number {
  let size = 8
  while (size > 1 && size * floatsEach > 2048) size /= 2
  return size
}
