import type { BackendKernel, KernelBackend } from '../backends/kernel-backend.ts'
import type { AttentionProblem, Kernels } from '../backends/library.ts'
import type { tf } from '../tf.ts'
import type { AttentionOptions } from './attention.ts'
import { dropThreshold } from './dropout.ts'
import { isRecording } from './fused.ts'
import { withWorkspace } from './workspace.ts'

/** The options of `attention` as plain numbers; those that were left out stand at the value that does nothing. */
export type AttentionAttributes = {
  keyLen: number
  isCausal: boolean
  window: number
  scale: number
  softcap: number
  hasBias: boolean
  hasMask: boolean
  rate: number
  seed: number
  isRecording: boolean
}

export function attentionAttributes(q: tf.Tensor, k: tf.Tensor, options: AttentionOptions): AttentionAttributes {
  return {
    keyLen: options.keyLen ?? k.shape[1]!,
    isCausal: options.isCausal ?? false,
    window: options.slidingWindow ?? 0,
    scale: options.scale ?? 1 / Math.sqrt(q.shape[3]!),
    softcap: options.softcap ?? 0,
    hasBias: options.bias !== undefined,
    hasMask: options.keyPaddingMask !== undefined,
    rate: options.dropout?.rate ?? 0,
    seed: options.dropout?.seed ?? 0,
    isRecording: isRecording(),
  }
}

// Up to this many queries the reading of keys and values bounds the time, above it arithmetic does.
export const maxStepQueries = 4
// Keys in a block, as in attention.cc; transposed keys are padded to whole blocks.
const keyBlock = 64

/** [q, k, v, bias?, mask?] */
type AttentionInputs = tf.TensorInfo[]

/** `valueDim` is the width of v, which packed rows do not tell. */
function problem(
  backend: KernelBackend,
  inputs: AttentionInputs,
  attributes: AttentionAttributes,
  valueDim: number = inputs[2]!.shape[3]!,
): AttentionProblem {
  const { address } = backend
  const [q, k, v] = inputs as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]
  const bias = attributes.hasBias ? inputs[3]! : undefined
  const mask = attributes.hasMask ? inputs.at(-1)! : undefined
  const [batch, seqLen, numHeads, headDim] = q.shape as [number, number, number, number]
  const [, capacity, numKeyValueHeads] = k.shape as [number, number, number, number]
  const [biasBatch, biasHead, biasRow] = bias ? broadcastStrides(bias.shape) : [0, 0, 0]
  return [
    ...[address(q), address(k), address(v), bias ? address(bias) : 0, mask ? address(mask) : 0],
    ...[batch, seqLen, attributes.keyLen, capacity, numHeads, numKeyValueHeads, headDim, valueDim],
    ...[attributes.isCausal ? 1 : 0, attributes.window, attributes.scale, attributes.softcap],
    ...[biasBatch, biasHead, biasRow],
    ...[dropThreshold(attributes.rate), 1 / (1 - attributes.rate), attributes.seed | 0],
  ] as AttentionProblem
}

/** Elements from one batch, head and query to the next; 0 along an axis of size 1. */
function broadcastStrides(shape: number[]): number[] {
  const strides = [shape[1]! * shape[2]! * shape[3]!, shape[2]! * shape[3]!, shape[3]!]
  return strides.map((stride, axis) => (shape[axis] === 1 ? 0 : stride))
}

/** Into how many pieces the keys are split so that every thread has some of `items` · pieces to do. */
function splitsFor(items: number, blocks: number, threads: number): number {
  if (threads === 1 || items >= 2 * threads || items === 0) return 1
  return Math.max(1, Math.min(blocks, Math.ceil((2 * threads) / items)))
}

type StepArguments = [...AttentionProblem, out: number, partial: number, splits: number]

/** Few queries, with the keys split over the threads: `run` calls the kernel. */
export function stepProblem(
  backend: KernelBackend,
  inputs: AttentionInputs,
  attributes: AttentionAttributes,
  out: tf.TensorInfo,
  run: (args: StepArguments, kernels: Kernels) => void,
): void {
  const { address, library } = backend
  const [batch, seqLen, numHeads, headDim] = inputs[0]!.shape as [number, number, number, number]
  const [, capacity] = inputs[1]!.shape as [number, number]
  const valueDim = out.shape[3]!
  const splits = splitsFor(batch, Math.ceil(capacity / (2 * keyBlock)), library.threads) // the same while a cache fills
  const partial = seqLen * numHeads * (valueDim + 2) + STEP_KEYS * (headDim + valueDim)
  withWorkspace(backend, batch * splits * partial, at => {
    run([...problem(backend, inputs, attributes, valueDim), address(out), at, splits], library.kernels)
  })
}

/** Keys of one turn of a step, as in attention.cc: packed ones are unpacked so many at a time. */
const STEP_KEYS = 32

export const attentionKernels: Record<string, BackendKernel> = {
  /** [q, k, v, bias?, mask?] -> [out, lse] while a gradient is being recorded, else [out]; lse: [batch, numHeads, seqLen]. */
  HeedAttention(backend, inputs: AttentionInputs, attributes: AttentionAttributes) {
    const { address, library } = backend
    const [q, k, v] = inputs as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]
    const [batch, seqLen, numHeads, headDim] = q.shape as [number, number, number, number]
    const valueDim = v.shape[3]!
    const out = backend.output([batch, seqLen, numHeads, valueDim])
    if (seqLen <= maxStepQueries && !attributes.isRecording) {
      stepProblem(backend, inputs, attributes, out, (args, kernels) => kernels.attentionStep(...args))
      return [out]
    }
    const args = problem(backend, inputs, attributes)
    const lse = attributes.isRecording ? backend.output([batch, numHeads, seqLen]) : undefined
    // A long prompt comes in pieces that see more and more keys: with powers of two few sizes of memory stay behind.
    const keyRoom = 2 ** Math.ceil(Math.log2(paddedKeys(attributes)))
    withWorkspace(backend, batch * k.shape[2]! * headDim * keyRoom, workspace => {
      library.kernels.attention(...args, address(out), lse ? address(lse) : 0, workspace)
    })
    return lse ? [out, lse] : [out]
  },

  /** [dout, out, lse, q, k, v, bias?, mask?] -> [dq, dk, dv] */
  HeedAttentionGradient(backend, [dout, out, lse, ...inputs]: tf.TensorInfo[], attributes: AttentionAttributes) {
    const gradients = inputs.slice(0, 3).map(({ shape }) => backend.output(shape))
    const [dq, dk, dv] = gradients.map(backend.address) as [number, number, number]
    runGradient(backend, { dout: dout!, out: out!, lse: lse! }, inputs, attributes, { dq, dk, dv, dbias: 0 })
    return gradients
  },

  /** [dout, out, lse, q, k, v, bias, mask?] -> the gradient of every score, [batch, numHeads, seqLen, keyLen] */
  HeedAttentionBiasGradient(backend, [dout, out, lse, ...inputs]: tf.TensorInfo[], attributes: AttentionAttributes) {
    const [batch, seqLen, numHeads] = inputs[0]!.shape as [number, number, number, number]
    const dscores = backend.output([batch, numHeads, seqLen, attributes.keyLen])
    const to = { dq: 0, dk: 0, dv: 0, dbias: backend.address(dscores) }
    runGradient(backend, { dout: dout!, out: out!, lse: lse! }, inputs, attributes, to)
    return dscores
  },
}

function paddedKeys({ keyLen }: AttentionAttributes): number {
  return Math.ceil(keyLen / keyBlock) * keyBlock
}

function runGradient(
  backend: KernelBackend,
  { dout, out, lse }: Record<'dout' | 'out' | 'lse', tf.TensorInfo>,
  inputs: AttentionInputs,
  attributes: AttentionAttributes,
  { dq, dk, dv, dbias }: Record<'dq' | 'dk' | 'dv' | 'dbias', number>,
): void {
  const { address, library } = backend
  const [q, k, v] = inputs as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]
  const [batch, seqLen, numHeads, headDim] = q.shape as [number, number, number, number]
  const heads = batch * k.shape[2]!
  const splits = splitsFor(heads, paddedKeys(attributes) / keyBlock, library.threads)
  const transposed = heads * (headDim + v.shape[3]!) * paddedKeys(attributes)
  const delta = batch * numHeads * seqLen
  const parts = splits > 1 ? splits * delta * headDim : 0
  withWorkspace(backend, transposed + delta + parts, workspace => {
    library.kernels.attentionGradient(
      ...problem(backend, inputs, attributes),
      ...([address(out), address(lse), address(dout), dq, dk, dv, dbias, workspace, splits] as const),
    )
  })
}
