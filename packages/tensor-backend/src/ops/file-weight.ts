import type { KernelBackend } from '../backends/kernel-backend.ts'
import type { WeightInFile } from '../backends/library.ts'
import { HeedError } from '../errors.ts'
import type { FilePlace } from '../files/gguf.ts'
import { tf } from '../tf.ts'
import { rowsAndCols } from './fused.ts'
import { inPlaceBackend } from './in-place.ts'
import {
  bytesOf,
  type QuantizedType,
  quantaFloats,
  quantizedKinds,
  STRIP_ROWS,
  stripBytesOf,
} from './quantized-format.ts'
import { withWorkspace } from './workspace.ts'

/** A weight [rows, cols] in few bits that lies in a file, where the native library reads it by itself, on all threads. */
export class FileWeight {
  private constructor(
    private readonly backend: KernelBackend,
    private readonly type: QuantizedType,
    private readonly shape: readonly [rows: number, cols: number],
    private readonly place: FilePlace,
    private readonly pairedHeadDim: number,
  ) {
    place.file.hold()
  }

  /** Holds the file until `release`; undefined where the active backend reads no files, or not the rows of such heads. */
  static open(
    type: QuantizedType,
    shape: readonly [number, number],
    place: FilePlace,
    pairedHeadDim: number,
  ): FileWeight | undefined {
    const backend = inPlaceBackend()
    if (!backend?.library.readLinear || pairedHeadDim % (2 * STRIP_ROWS) !== 0) return undefined
    return new FileWeight(backend, type, shape, place, pairedHeadDim)
  }

  get isOfActiveBackend(): boolean {
    return tf.backend() === this.backend
  }

  /** Reads the strips to where a tensor of them lies. Throws HEED_IO. */
  fill(strips: tf.Tensor): void {
    this.#check(this.backend.library.readStrips!(...this.#where(), this.backend.addressToFill(strips)))
    this.#checkUnchanged()
  }

  /** x · weightᵀ + bias, with no more of the weight in memory than is being multiplied by. Throws HEED_IO. */
  linear(x: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
    const { address, library } = this.backend
    const [rows, cols] = rowsAndCols(x)
    const y = tf.engine().makeTensorFromTensorInfo(this.backend.output([...x.shape.slice(0, -1), this.shape[0]]))
    withWorkspace(this.backend, quantaFloats(this.type, rows, cols), workspace => {
      const tensors = [address(x), bias ? address(bias) : 0, address(y), workspace] as const
      this.#check(library.readLinear!(...this.#where(), ...tensors, rows))
    })
    return y
  }

  /** The rows `ids` as floats. A file that has lost them is an error, and in a step that is made again rows of NaN. Throws HEED_IO. */
  rows(ids: tf.Tensor): tf.Tensor {
    const { type, backend, place } = this
    const { address, library } = backend
    const cols = this.shape[1]
    const rowBytes = bytesOf(type, cols)
    this.#checkUnchanged()
    const y = tf.engine().makeTensorFromTensorInfo(backend.output([ids.size, cols]))
    withWorkspace(backend, Math.ceil((ids.size * rowBytes) / 4), rows =>
      withWorkspace(backend, (Math.ceil(ids.size / STRIP_ROWS) * stripBytesOf(type, cols)) / 4, strips => {
        const kind = quantizedKinds[type]
        library.kernels.fileRows!(place.file.fd, place.offset, address(ids), rows, ids.size, rowBytes)
        library.kernels.quantizedPack(rows, strips, kind, ids.size, cols, 1)
        library.kernels.quantizedRows(strips, 0, address(y), kind, ids.size, cols)
      }),
    )
    return y
  }

  release(): void {
    this.place.file.release()
  }

  #where(): WeightInFile {
    const { type, place, pairedHeadDim } = this
    const [rows, cols] = this.shape
    const bytes = [bytesOf(type, cols), stripBytesOf(type, cols)] as const
    return [place.file.fd, place.offset, quantizedKinds[type], rows, cols, ...bytes, pairedHeadDim]
  }

  #checkUnchanged(): void {
    this.#check(this.place.file.isUnchanged())
  }

  #check(isAsBefore: boolean): void {
    if (isAsBefore) return
    const { file } = this.place
    throw new HeedError(
      'HEED_IO',
      `${file.name}: weights that were still to be read from it cannot be: the file has changed since it was opened. ` +
        'Load the model again.',
    )
  }
}
