import type { BackendKernel, KernelBackend } from '../backends/kernel-backend.ts'
import { HeedError } from '../errors.ts'
import { dequantizeGgml } from '../files/gguf/dequantize.ts'
import { quantizeGgml } from '../files/gguf/quantize.ts'
import { ggmlTypes } from '../files/gguf/types.ts'
import type { FilePlace } from '../files/gguf.ts'
import { tf } from '../tf.ts'
import { checkArgument, checkFloats, checkRank } from './checks.ts'
import { FileWeight } from './file-weight.ts'
import { hasKernel, runKernel } from './fused.ts'
import { inPlaceBackend } from './in-place.ts'
import { lazyZeros } from './lazy-zeros.ts'
import {
  allStripBytes,
  bytesOf,
  isQuantizedType,
  type QuantizedType,
  quantizedKinds,
  STRIP_ROWS,
  stripBytesOf,
} from './quantized-format.ts'

/**
 * The weight of a linear layer or an embedding, [outFeatures, inFeatures], kept in few bits. On the native and wasm
 * backends it stays so; on others it is float32. The numbers are those of ggml. It is not trained; dispose of it after use.
 */
export class QuantizedWeight {
  /** Where it is still to be read from. */
  #file: FileWeight | undefined
  #hasMultiplied = false

  private constructor(
    readonly type: QuantizedType,
    readonly shape: readonly [outFeatures: number, inFeatures: number],
    /** Rearranged blocks as bytes (bool) where kernels read them, once they are there; else the weights as float32. */
    readonly data: tf.Tensor,
    file?: FileWeight,
    private readonly isTable = false,
  ) {
    this.#file = file
  }

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
   * A weight that stays in its file, which it holds, until it is wanted: its first product reads it and keeps nothing, so that a
   * model answers soon; the second keeps it. Of a table, rows alone are read, each time. Undefined where the active backend reads
   * no files, or not the rows of such heads. Throws as fromBytes; HEED_IO comes with the use of a file that has changed.
   */
  static inFile(
    type: QuantizedType,
    shape: readonly [number, number],
    place: FilePlace,
    { pairedHeadDim = 0, isTable = false }: InFileOptions = {},
  ): QuantizedWeight | undefined {
    const [rows, cols] = shape
    checkBlocks(type, shape, bytesOf(type, rows * cols))
    const file = FileWeight.open(type, [rows, cols], place, pairedHeadDim)
    return (
      file &&
      new QuantizedWeight(type, [rows, cols], lazyZeros([allStripBytes(type, rows, cols)], 'bool'), file, isTable)
    )
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
    { pairedHeadDim = 1 }: PiecesOptions = {},
  ): Promise<QuantizedWeight> {
    const [rows, cols] = shape
    const byteLength = bytesOf(type, rows * cols)
    const backend = inPlaceBackend()
    if (!backend) return QuantizedWeight.fromBytes(type, shape, await read(0, byteLength))
    checkBlocks(type, shape, byteLength)
    const strips = tf.engine().makeTensorFromTensorInfo(stripsOf(backend, type, rows, cols))
    try {
      await packPieces(backend, strips, type, shape, read, pairedHeadDim)
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

  /** Whether the next use makes the same calls of kernels as the last one did. */
  get isSettled(): boolean {
    return this.#file === undefined || this.isTable
  }

  /** The first product by a weight that stays in its file; undefined of any other. Throws HEED_IO. */
  firstProduct(x: tf.Tensor, bias?: tf.Tensor): tf.Tensor | undefined {
    if (this.#hasMultiplied || this.isTable || !this.#file?.isOfActiveBackend) return undefined
    this.#hasMultiplied = true
    return this.#file.linear(x, bias)
  }

  /** What kernels read: `data`, which is read from the file now if need be. To be called in a tidy. Throws HEED_IO. */
  strips(): tf.Tensor {
    const file = this.#file
    if (!file) return this.data
    if (this.isTable) {
      const strips = lazyZeros(this.data.shape, 'bool')
      file.fill(strips)
      return strips
    }
    file.fill(this.data)
    this.#file = undefined
    file.release()
    return this.data
  }

  /** float32 [outFeatures, inFeatures], or only the rows `ids`; ids are within the table. Throws HEED_IO. */
  dequantize(ids?: tf.Tensor): tf.Tensor {
    if (!this.isPacked) return ids ? tf.gather(this.data, ids.flatten()) : this.data.clone()
    const attributes = this.attributes()
    return tf.tidy(() => {
      if (ids && this.#file?.isOfActiveBackend) return this.#file.rows(ids)
      return runKernel('HeedQuantizedRows', ids ? [this.strips(), ids] : [this.strips()], attributes)[0]!
    })
  }

  dispose(): void {
    this.data.dispose()
    this.#file?.release()
    this.#file = undefined
  }
}

/** What `fromPieces` and `inFile` may know of the rows. */
export interface PiecesOptions {
  /** Rows of a head, when those lie in pairs in the file, (0, 1), (2, 3) ..., of which halves are made, by `read` if there is one. */
  pairedHeadDim?: number | undefined
}

export interface InFileOptions extends PiecesOptions {
  /** Whether it is a table of which only rows are looked up. */
  isTable?: boolean | undefined
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
      library.kernels.quantizedPack(address(piece), to, quantizedKinds[type], length / rowBytes, cols, 1)
    }
  } finally {
    piece.dispose()
  }
}

/** Bytes of a file that are held at a time: few enough to stay in the processor's cache between the reading and the packing. */
const PIECE_BYTES = 2 ** 21

function checkBlocks(type: QuantizedType, [rows, cols]: readonly [number, number], byteLength: number): void {
  if (!isQuantizedType(type)) {
    throw new HeedError(
      'HEED_DTYPE_UNSUPPORTED',
      `QuantizedWeight: type is ${type}, expected one of ${Object.keys(quantizedKinds).join(', ')}. Dequantize it instead.`,
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
  return backend.output([allStripBytes(type, rows, cols)], 'bool')
}

type WeightAttributes = ReturnType<QuantizedWeight['attributes']>

export const quantizedWeightKernels: Record<string, BackendKernel> = {
  /** [blocks] -> strips, both as bytes. */
  HeedQuantizedPack(backend, [blocks]: [tf.TensorInfo], { type, rows, cols }: WeightAttributes) {
    const { address, library } = backend
    const strips = stripsOf(backend, type, rows, cols)
    library.kernels.quantizedPack(address(blocks), address(strips), quantizedKinds[type], rows, cols, 1)
    return strips
  },

  /** [strips, ids?] -> y, the rows as floats. */
  HeedQuantizedRows(backend, [strips, ids]: [tf.TensorInfo, tf.TensorInfo?], { type, rows, cols }: WeightAttributes) {
    const { address, library } = backend
    const count = ids ? tf.util.sizeFromShape(ids.shape) : rows
    const y = backend.output([count, cols])
    library.kernels.quantizedRows(
      address(strips),
      ids ? address(ids) : 0,
      address(y),
      quantizedKinds[type],
      count,
      cols,
    )
    return y
  },
}
