/**
 * The checkpoints of karpathy/llama2.c (`export.py`): seven numbers, then the weights. Version 0 has no mark of its own and
 * holds the rotary angles too; 1 begins with "ak42"; 2 keeps matrices in 8 bits, in groups of values with a float32 scale.
 * What the format does not say is built into llama2.c: rmsNormEps 1e-5, ropeTheta 10000, begin and end tokens 1 and 2.
 */
import { type ByteSource, HeedError, openByteSource, type TensorInfo } from '@heed/tensor-backend'
import type { Checkpoint, CheckpointFormat } from '@heed/transformer'
import { type LazyTensor, lazyTensors } from './lazy-tensors.ts'
import { halvesFromPairs } from './rotary-rows.ts'

const MAGIC = 0x616b3432
const HEADER_BYTES = { 0: 28, 1: 256, 2: 256 } as const

interface Header {
  version: 0 | 1 | 2
  dim: number
  hiddenDim: number
  numLayers: number
  numHeads: number
  numKeyValueHeads: number
  vocabSize: number
  seqLen: number
  /** Whether the head is the embedding table. */
  isShared: boolean
  /** Values to a scale in version 2. */
  groupSize: number
}

/** llama2.c's files, for `registerCheckpointFormat`. */
export const llama2cFormat: CheckpointFormat = {
  name: 'llama2.c',
  async open(location) {
    if (location instanceof Map || !/\.bin$/i.test(String(location))) return undefined
    const path = String(location)
    const { bytes, byteLength } = await readBeginning(path)
    const header = readHeader(path, bytes)
    return openLlama2c(path, header, placesOf(path, header, byteLength))
  },
}

/** What a llama2.c file holds. */
export interface Llama2cFile {
  /** The header, by the names of `export.py`; `group_size` in version 2 only. */
  readonly header: Readonly<Record<string, number | boolean>>
  /** By HF's names, in the order of the file; Q8_0 has signed bytes, and a float32 scale for each group of them. */
  readonly tensors: ReadonlyMap<string, { type: 'F32' | 'Q8_0'; shape: TensorInfo['shape']; byteLength: number }>
}

/**
 * What a llama2.c file holds, from its header; undefined when it begins as no such file does.
 * Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID (it is truncated, or its sizes are wrong), HEED_IO.
 */
export async function inspectLlama2c(path: string): Promise<Llama2cFile | undefined> {
  const { bytes, byteLength } = await readBeginning(path)
  // without a mark it begins with a size below 2^24, so with a fourth byte of 0; torch.save's files have another one there
  if (!isMarked(bytes) && bytes[3] !== 0) return undefined
  const header = readHeader(path, bytes)
  const places = placesOf(path, header, byteLength).map(
    ({ key, entry: { shape }, byteLength: size }) =>
      [key, { type: isGrouped(header, shape) ? 'Q8_0' : 'F32', shape, byteLength: size }] as const,
  )
  return {
    header: {
      version: header.version,
      dim: header.dim,
      hidden_dim: header.hiddenDim,
      n_layers: header.numLayers,
      n_heads: header.numHeads,
      n_kv_heads: header.numKeyValueHeads,
      vocab_size: header.vocabSize,
      max_seq_len: header.seqLen,
      shared_classifier: header.isShared,
      ...(header.version === 2 && { group_size: header.groupSize }),
    },
    tensors: new Map(places),
  }
}

/** The bytes of the longest header, or all of a shorter file. */
async function readBeginning(path: string): Promise<{ bytes: Uint8Array; byteLength: number }> {
  const source = await openByteSource(path)
  try {
    const { byteLength } = source
    return { bytes: await source.read(0, Math.min(HEADER_BYTES[1], byteLength)), byteLength }
  } finally {
    await source.close()
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const isMarked = (bytes: Uint8Array): boolean => bytes.length >= 4 && viewOf(bytes).getUint32(0, true) === MAGIC

/** Throws HEED_FILE_INVALID when the bytes are no header of llama2.c's. */
function readHeader(path: string, bytes: Uint8Array): Header {
  const refuse = (what: string, rule: string): HeedError =>
    new HeedError(
      'HEED_FILE_INVALID',
      `${path}: ${what}, expected ${rule} as in the header of a llama2.c checkpoint. The file is damaged or of another format: ` +
        'of a model in an HF folder, give the folder.',
    )
  const hasMark = isMarked(bytes)
  const least = HEADER_BYTES[hasMark ? 1 : 0]
  if (bytes.length < least) throw refuse(`it has ${bytes.length} bytes`, `at least ${least}`)
  const view = viewOf(bytes)
  const version = hasMark ? view.getInt32(4, true) : 0
  if (version !== 0 && version !== 1 && version !== 2) throw refuse(`its version is ${version}`, '1 or 2')
  const start = hasMark ? 8 : 0
  const [dim, hiddenDim, numLayers, numHeads, numKeyValueHeads, vocab, seqLen] = Array.from({ length: 7 }, (_, i) =>
    view.getInt32(start + 4 * i, true),
  ) as [number, number, number, number, number, number, number]
  for (const [name, size] of Object.entries({ dim, hiddenDim, numLayers, numHeads, numKeyValueHeads, seqLen })) {
    if (!(size > 0 && size < 2 ** 24)) throw refuse(`${name} is ${size}`, `a number from 1 to ${2 ** 24 - 1}`)
  }
  if (vocab === 0) throw refuse('vocabSize is 0', 'another number')
  if (dim % numHeads !== 0) throw refuse(`numHeads is ${numHeads}`, `a divisor of dim (${dim})`)
  if (numHeads % numKeyValueHeads !== 0) {
    throw refuse(`numKeyValueHeads is ${numKeyValueHeads}`, `a divisor of numHeads (${numHeads})`)
  }
  const sizes = { dim, hiddenDim, numLayers, numHeads, numKeyValueHeads, vocabSize: Math.abs(vocab), seqLen }
  return {
    version,
    ...sizes,
    isShared: hasMark ? bytes[36] === 1 : vocab > 0,
    groupSize: version === 2 ? view.getInt32(37, true) : 0,
  }
}

type Entry = { key: string; shape: number[]; pairedHeads?: number }

/** The tensors in the order of the file; `*` stands for the layer, all of which follow one another. */
function entriesOf(header: Header): { norms: Entry[]; matrices: Entry[]; head: Entry[] } {
  const { dim, hiddenDim, numHeads, numKeyValueHeads, vocabSize, isShared } = header
  const keySize = (dim / numHeads) * numKeyValueHeads
  const layer = (part: string): string => `model.layers.*.${part}.weight`
  return {
    norms: [
      { key: layer('input_layernorm'), shape: [dim] },
      { key: layer('post_attention_layernorm'), shape: [dim] },
      { key: 'model.norm.weight', shape: [dim] },
    ],
    matrices: [
      { key: 'model.embed_tokens.weight', shape: [vocabSize, dim] },
      { key: layer('self_attn.q_proj'), shape: [dim, dim], pairedHeads: numHeads },
      { key: layer('self_attn.k_proj'), shape: [keySize, dim], pairedHeads: numKeyValueHeads },
      { key: layer('self_attn.v_proj'), shape: [keySize, dim] },
      { key: layer('self_attn.o_proj'), shape: [dim, dim] },
      { key: layer('mlp.gate_proj'), shape: [hiddenDim, dim] },
      { key: layer('mlp.down_proj'), shape: [dim, hiddenDim] },
      { key: layer('mlp.up_proj'), shape: [hiddenDim, dim] },
    ],
    head: isShared ? [] : [{ key: 'lm_head.weight', shape: [vocabSize, dim] }],
  }
}

/** In the order of a version; version 0 has norms among the matrices, and before the head the angles, which are passed over. */
function orderOf(header: Header): (Entry | { skip: number })[] {
  const { norms, matrices, head } = entriesOf(header)
  if (header.version > 0) return [...norms, ...matrices, ...head]
  const [attentionNorm, feedForwardNorm, lastNorm] = norms as [Entry, Entry, Entry]
  const angles = header.seqLen * (header.dim / header.numHeads) // cosines and sines of half as many each
  return [
    matrices[0]!,
    attentionNorm,
    ...matrices.slice(1, 5),
    feedForwardNorm,
    ...matrices.slice(5),
    lastNorm,
    { skip: angles },
    ...head,
  ]
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

/** Whether a tensor is kept in 8 bits. */
const isGrouped = ({ version }: Header, shape: readonly number[]): boolean => version === 2 && shape.length === 2

interface Place {
  key: string
  entry: Entry
  offset: number
  byteLength: number
}

/** Where the tensors lie. Throws HEED_FILE_INVALID when the file is not as long as they are. */
function placesOf(path: string, header: Header, fileBytes: number): Place[] {
  const { version, dim, numLayers, groupSize } = header
  if (version === 2 && !(groupSize > 0 && dim % groupSize === 0)) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${path}: the group size is ${groupSize}, expected a divisor of dim (${dim}). The file is damaged.`,
    )
  }
  const entries = orderOf(header).map(entry => {
    if ('skip' in entry) return { ...entry, times: 1, byteLength: 4 * entry.skip }
    const count = sizeOf(entry.shape)
    const byteLength = isGrouped(header, entry.shape) ? count + (4 * count) / groupSize : 4 * count
    return { entry, times: entry.key.includes('*') ? numLayers : 1, byteLength }
  })
  // before anything is made for the layers that the header claims
  const expected = entries.reduce<number>(
    (sum, { times, byteLength }) => sum + times * byteLength,
    HEADER_BYTES[version],
  )
  if (expected !== fileBytes) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${path}: it has ${fileBytes} bytes, expected ${expected} for a llama2.c checkpoint of version ${version} with its sizes. ` +
        'The file is truncated or of another format.',
    )
  }
  const places: Place[] = []
  let offset: number = HEADER_BYTES[version]
  for (const { times, byteLength, ...of } of entries) {
    for (let i = 0; i < times; i++) {
      if ('entry' in of) places.push({ key: of.entry.key.replace('*', String(i)), entry: of.entry, offset, byteLength })
      offset += byteLength
    }
  }
  return places
}

function openLlama2c(path: string, header: Header, places: readonly Place[]): Checkpoint {
  return {
    source: path,
    config: configOf(header),
    async openTensors() {
      const source = await openByteSource(path)
      const tensors = places.map(({ key, entry, ...place }): [string, LazyTensor] => [
        key,
        { dtype: 'F32', shape: entry.shape, bytes: () => readFloats(source, entry, place, header) },
      ])
      return lazyTensors(path, new Map(tensors), () => source.close())
    },
  }
}

async function readFloats(
  source: ByteSource,
  { shape, pairedHeads }: Entry,
  { offset, byteLength }: { offset: number; byteLength: number },
  header: Header,
): Promise<Uint8Array> {
  const raw = await source.read(offset, byteLength)
  const bytes = isGrouped(header, shape) ? dequantized(raw, sizeOf(shape), header.groupSize) : raw
  return pairedHeads === undefined ? bytes : halvesFromPairs(bytes, shape[0]!, pairedHeads)
}

/** `count` signed bytes, then a float32 scale for each group of them -> float32. */
function dequantized(raw: Uint8Array, count: number, groupSize: number): Uint8Array {
  const quanta = new Int8Array(raw.buffer, raw.byteOffset, count)
  const scales = new Float32Array(raw.slice(count).buffer)
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) values[i] = quanta[i]! * scales[Math.floor(i / groupSize)]!
  return new Uint8Array(values.buffer)
}

function configOf(header: Header): Checkpoint['config'] {
  return {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: header.vocabSize,
    hidden_size: header.dim,
    intermediate_size: header.hiddenDim,
    num_hidden_layers: header.numLayers,
    num_attention_heads: header.numHeads,
    num_key_value_heads: header.numKeyValueHeads,
    max_position_embeddings: header.seqLen,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    bos_token_id: 1,
    eos_token_id: 2,
    tie_word_embeddings: header.isShared,
  }
}
