import type { BackendKernel, KernelBackend } from '../backends/kernel-backend.ts'
import { HeedError } from '../errors.ts'
import { dequantizeGgml } from '../files/gguf/dequantize.ts'
import { quantizeGgml } from '../files/gguf/quantize.ts'
import { ggmlTypes } from '../files/gguf/types.ts'
import type { FilePlace } from '../files/gguf.ts'
import { tf } from '../tf.ts'
import { checkArgument, checkFloats, checkRank } from './checks.ts'
import { hasKernel, runKernel } from './fused.ts'
import { inPlaceBackend } from './in-place.ts'

/** Kinds of weights that kernels compute with as they are; numbered as in kernels/quantized.cc. */
const kinds = { Q8_0: 0, Q4_0: 1, Q4_K: 2, Q6_K: 3, F16: 4, BF16: 5 } as const

/** ggml's blocks of 8, 4, 4 and 6 bits, and 16-bit floats. */
export type QuantizedType = keyof typeof kinds

/** Whether a type of a GGUF or safetensors file is one that `QuantizedWeight` keeps as it is. */
export function isQuantizedType(type: string): type is QuantizedType {
  return Object.hasOwn(kinds, type)
}

/** Rows of a strip, as in kernels/quantized.cc. */
const STRIP_ROWS = 16

/** Bytes of a strip for each block of a row, as in kernels/quantized.cc. */
const stripBytes: Record<QuantizedType, number> = { Q8_0: 544, Q4_0: 288, Q4_K: 2368, Q6_K: 3360, F16: 32, BF16: 32 }

/**
 * The weight of a linear layer or an embedding, [outFeatures, inFeatures], kept in few bits. On the native and wasm
 * backends it stays so; on others it is float32. The numbers are those of ggml. It is not trained; dispose of it after use.
 */
export class QuantizedWeight {
  private constructor(
    readonly type: QuantizedType,
    readonly shape: readonly [outFeatures: number, inFeatures: number],
    /** Rearranged blocks as bytes (bool) where kernels read them, else the weights as float32. */
    readonly data: tf.Tensor,
  ) {}

  /**
   * From the bytes of a file: row after row of blocks, as GGUF has them, or 16-bit floats.
   * Throws HEED_DTYPE_UNSUPPORTED, HEED_SHAPE_MISMATCH.
   */
  static fromBytes(type: QuantizedType, shape: readonly [number, number], bytes: Uint8Array): QuantizedWeight {
    checkBlocks(type, shape, bytes.length)
    const [rows, cols] = shape
    if (!hasKernel('HeedQuantizedPack')) {
      const values = dequantizeGgml(bytes, type, 'QuantizedWeight')
      return new QuantizedWeight(type, [rows, cols], tf.tensor2d(values, [rows, cols]))
    }
    const data = tf.tidy(() => runKernel('HeedQuantizedPack', [tf.tensor1d(bytes, 'bool')], { type, rows, cols })[0]!)
    return new QuantizedWeight(type, [rows, cols], data)
  }

  /**
   * `fromBytes` of a large weight, piece by piece: `read` gives the bytes [offset, offset + length), in `room` if it can, which
   * is memory of the kernels. Pieces are whole multiples of the rows of a head, and no more than one is held besides the weight.
   * Throws as fromBytes and `read`.
   */
  static async fromPieces(
    type: QuantizedType,
    shape: readonly [number, number],
    read: (offset: number, length: number, room?: Uint8Array) => Promise<Uint8Array>,
    { pairedHeadDim = 0, place }: PiecesOptions = {},
  ): Promise<QuantizedWeight> {
    const [rows, cols] = shape
    const byteLength = bytesOf(type, rows * cols)
    const backend = inPlaceBackend()
    if (!backend) return QuantizedWeight.fromBytes(type, shape, await read(0, byteLength))
    checkBlocks(type, shape, byteLength)
    const strips = tf.engine().makeTensorFromTensorInfo(stripsOf(backend, type, rows, cols))
    try {
      const isDone =
        place &&
        pairedHeadDim % (2 * STRIP_ROWS) === 0 &&
        readStrips(backend, strips, type, shape, place, pairedHeadDim)
      if (!isDone) await packPieces(backend, strips, type, shape, read, pairedHeadDim || 1)
      return new QuantizedWeight(type, [rows, cols], strips)
    } catch (error) {
      strips.dispose()
      throw error
    }
  }

  /**
   * From a float32 matrix, rounded as ggml does. Throws HEED_SHAPE_MISMATCH when inFeatures is no multiple of the block,
   * HEED_NUMERIC on what the type cannot hold, HEED_DTYPE_UNSUPPORTED.
   */
  static quantize(weight: tf.Tensor, type: 'Q8_0' | 'Q4_0' | 'F16' | 'BF16'): QuantizedWeight {
    checkRank('QuantizedWeight', 'weight', weight, 2, '[outFeatures, inFeatures]')
    checkFloats('QuantizedWeight', { weight })
    const [rows, cols] = weight.shape as [number, number]
    const block = ggmlTypes[type].elements
    const mend = 'Keep this weight as it is.'
    checkArgument('QuantizedWeight', 'inFeatures', cols, cols % block === 0, `a multiple of ${block} for ${type}`, mend)
    const bytes = quantizeGgml(weight.dataSync<'float32'>(), type, 'QuantizedWeight')
    return QuantizedWeight.fromBytes(type, [rows, cols], bytes)
  }

  /** Attributes for a kernel. Throws HEED_BACKEND_UNAVAILABLE when it was made on a backend that is not the active one. */
  attributes(): { type: QuantizedType; rows: number; cols: number } {
    if (this.isPacked && !hasKernel('HeedQuantizedPack')) {
      throw new HeedError(
        'HEED_BACKEND_UNAVAILABLE',
        `QuantizedWeight: the backend is ${tf.getBackend()}, expected native or wasm, where this weight was made. ` +
          'Load it again after init.',
      )
    }
    return { type: this.type, rows: this.shape[0], cols: this.shape[1] }
  }

  /** Whether kernels read it, rather than tfjs's own ops. */
  get isPacked(): boolean {
    return this.data.dtype === 'bool'
  }

  /** float32 [outFeatures, inFeatures], or only the rows `ids`; ids are within the table. */
  dequantize(ids?: tf.Tensor): tf.Tensor {
    if (this.isPacked)
      return runKernel('HeedQuantizedRows', ids ? [this.data, ids] : [this.data], this.attributes())[0]!
    return ids ? tf.gather(this.data, ids.flatten()) : this.data.clone()
  }

  dispose(): void {
    this.data.dispose()
  }
}

/** What `fromPieces` may know of the rows. */
export interface PiecesOptions {
  /** Rows of a head, when those lie in pairs in the file, (0, 1), (2, 3) ..., of which `read` makes halves. */
  pairedHeadDim?: number | undefined
  /** Where the bytes lie that `read` reads: the native backend reads them itself, on all threads. */
  place?: FilePlace | undefined
}

/** Reads a weight by the library itself; false where that cannot be done, or something is amiss with the file. */
function readStrips(
  { address, library }: KernelBackend,
  strips: tf.Tensor,
  type: QuantizedType,
  [rows, cols]: readonly [number, number],
  { fd, offset }: FilePlace,
  pairedHeadDim: number,
): boolean {
  const bytes = [stripBytesOf(type, cols), bytesOf(type, cols)] as const
  return (
    library.readStrips?.(fd, offset, address(strips), bytes[0], kinds[type], rows, cols, bytes[1], pairedHeadDim) ??
    false
  )
}

/** Reads and packs a weight in pieces of whole multiples of `rowsTogether` rows. */
async function packPieces(
  backend: KernelBackend,
  strips: tf.Tensor,
  type: QuantizedType,
  [rows, cols]: readonly [number, number],
  read: (offset: number, length: number, room?: Uint8Array) => Promise<Uint8Array>,
  rowsTogether: number,
): Promise<void> {
  const { address, library } = backend
  const rowBytes = bytesOf(type, cols)
  const unit = rowsTogether % STRIP_ROWS === 0 ? rowsTogether : STRIP_ROWS * rowsTogether
  const pieceRows = Math.min(rows, unit * Math.max(1, Math.floor(PIECE_BYTES / rowBytes / unit)))
  const piece = tf.engine().makeTensorFromTensorInfo(backend.output([pieceRows * rowBytes], 'bool'))
  try {
    for (let row = 0; row < rows; row += pieceRows) {
      const length = Math.min(pieceRows, rows - row) * rowBytes
      // Memory of WebAssembly may move while a file is read.
      const room = library.name === 'native' ? (backend.values(piece) as Uint8Array).subarray(0, length) : undefined
      const bytes = await read(row * rowBytes, length, room)
      if (bytes.buffer !== room?.buffer) backend.values(piece).set(bytes)
      const to = address(strips) + (row / STRIP_ROWS) * stripBytesOf(type, cols)
      library.kernels.quantizedPack(address(piece), to, kinds[type], length / rowBytes, cols, 1)
    }
  } finally {
    piece.dispose()
  }
}

/** Bytes of a file that are held at a time: few enough to stay in the processor's cache between the reading and the packing. */
const PIECE_BYTES = 2 ** 21

const bytesOf = (type: QuantizedType, count: number): number =>
  (count / ggmlTypes[type].elements) * ggmlTypes[type].bytes

function checkBlocks(type: QuantizedType, [rows, cols]: readonly [number, number], byteLength: number): void {
  if (!isQuantizedType(type)) {
    throw new HeedError(
      'HEED_DTYPE_UNSUPPORTED',
      `QuantizedWeight: type is ${type}, expected one of ${Object.keys(kinds).join(', ')}. Dequantize it instead.`,
    )
  }
  const { elements, bytes: blockBytes } = ggmlTypes[type]
  if (cols % elements !== 0 || byteLength !== ((rows * cols) / elements) * blockBytes) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `QuantizedWeight: ${byteLength} bytes of ${type} are given for [${rows}, ${cols}], expected rows of a multiple of ` +
        `${elements}, with ${blockBytes} bytes for each ${elements}. Check the shape.`,
    )
  }
}

/** Room for the strips of a weight. */
function stripsOf(backend: KernelBackend, type: QuantizedType, rows: number, cols: number): tf.TensorInfo {
  return backend.output([Math.ceil(rows / STRIP_ROWS) * stripBytesOf(type, cols)], 'bool')
}

/** Bytes of a strip of 16 rows. */
function stripBytesOf(type: QuantizedType, cols: number): number {
  return (cols / ggmlTypes[type].elements) * stripBytes[type]
}

type WeightAttributes = ReturnType<QuantizedWeight['attributes']>

export const quantizedWeightKernels: Record<string, BackendKernel> = {
  /** [blocks] -> strips, both as bytes. */
  HeedQuantizedPack(backend, [blocks]: [tf.TensorInfo], { type, rows, cols }: WeightAttributes) {
    const { address, library } = backend
    const strips = stripsOf(backend, type, rows, cols)
    library.kernels.quantizedPack(address(blocks), address(strips), kinds[type], rows, cols, 1)
    return strips
  },

  /** [strips, ids?] -> y, the rows as floats. */
  HeedQuantizedRows(backend, [strips, ids]: [tf.TensorInfo, tf.TensorInfo?], { type, rows, cols }: WeightAttributes) {
    const { address, library } = backend
    const count = ids ? tf.util.sizeFromShape(ids.shape) : rows
    const y = backend.output([count, cols])
    library.kernels.quantizedRows(address(strips), ids ? address(ids) : 0, address(y), kinds[type], count, cols)
    return y
  },
}

export function quantizedKind(type: QuantizedType): number {
  return kinds[type]
}
