import { HeedError } from '../errors.ts'
import { MathBackendCPU, tf } from '../tf.ts'
import type { KernelLibrary } from './library.ts'
import { checkLost } from './mapped-file.ts'

export type NumericDtype = 'float32' | 'int32' | 'bool'

/**
 * A kernel of this backend. Each declares the inputs it takes (named as tfjs names them, or a list for the fused ops of
 * Heed) and its attributes; tfjs passes both untyped.
 */
export type BackendKernel = (
  backend: KernelBackend,
  inputs: never,
  attributes: never,
) => tf.TensorInfo | tf.TensorInfo[]

/** A weight as products see it: x [..., depth] · weight -> [..., cols]. */
export interface ProductWeight {
  depth: number
  cols: number
  /** Whether it lies as [cols, depth]. */
  isTransposed: boolean
}

function isSameWeight(a: ProductWeight, b: ProductWeight): boolean {
  return a.depth === b.depth && a.cols === b.cols && a.isTransposed === b.isTransposed
}

/** Products of so many rows are sped up by a weight in panels, more than those of fewer. */
const MIN_PANEL_ROWS = 16

/** A weight lies in panels from this product of many rows on: packing it for one alone would not pay. */
const PACKING_PRODUCT = 2

/** The same for a weight that lies in a file: it moves to new memory, which costs as much as a product of hundreds of rows. */
const MOVING_PRODUCT = 16

/** The part of a weight that zeros after its last column may add to it. */
const MAX_PADDING = 1 / 16

/** Has memory that tensors lie in. */
export interface MemoryOwner {
  /** Throws when what lies there is lost. */
  check(): void
  /** Throws when it may be other than it was; slower than `check`. */
  checkUnchanged(): void
  /** No tensor lies there any more. */
  release(address: number, bytes: number): void
}

/** One tensor: a block of the library's memory, or of a file's; or values of JavaScript, as strings and complex numbers always are. */
class TensorData {
  refCount = 1
  /** Products of many rows by it since it was put in order. */
  products = 0
  /** Set while the values lie in panels, as products alone read them. */
  panels: { of: ProductWeight; putInOrder(): void } | undefined
  /** Whose memory it is, where it is no block of the library. */
  owner: MemoryOwner | undefined
  complexTensorInfos?: { real: tf.TensorInfo; imag: tf.TensorInfo }

  constructor(
    private readonly library: KernelLibrary,
    readonly dtype: tf.DataType,
    readonly size: number,
    /** 0 for an empty tensor, and for those whose values are kept in JavaScript. */
    public address: number,
    private kept?: unknown,
  ) {}

  /** The values where they lie now, for tfjs's own cpu kernels; a view that only lives until the next kernel. */
  get values(): unknown {
    this.panels?.putInOrder()
    if (this.address === 0 && this.isLazy) this.settle(0)
    return this.address === 0
      ? this.kept
      : numericView(this.library, this.dtype as NumericDtype, this.address, this.size)
  }

  /** Zeros for which there is no memory yet. */
  get isLazy(): boolean {
    return this.size > 0 && this.kept === undefined
  }

  /** Moves the values from JavaScript to a block of their own, or with address 0 makes the values of lazy zeros. */
  settle(address: number): void {
    const { kept } = this
    if (address === 0) {
      this.kept ??= zeros(this.dtype as NumericDtype, this.size)
      return
    }
    this.kept = undefined
    this.address = address
    const values = this.values as Float32Array
    if (kept) values.set(kept as Float32Array)
    else values.fill(0)
  }
}

function bytesPerElement(dtype: tf.DataType): number {
  return dtype === 'bool' ? 1 : 4
}

function zeros(dtype: NumericDtype, size: number): Float32Array | Int32Array | Uint8Array {
  return dtype === 'float32' ? new Float32Array(size) : dtype === 'int32' ? new Int32Array(size) : new Uint8Array(size)
}

function numericView(
  library: KernelLibrary,
  dtype: NumericDtype,
  address: number,
  size: number,
): Float32Array | Int32Array | Uint8Array {
  const { buffer, byteOffset } = library.view(address, size * bytesPerElement(dtype))
  if (dtype === 'float32') return new Float32Array(buffer, byteOffset, size)
  if (dtype === 'int32') return new Int32Array(buffer, byteOffset, size)
  return new Uint8Array(buffer, byteOffset, size)
}

/** Columns of a panel, by the instruction set. */
function panelColsOf({ kernels, allocate, release, view }: KernelLibrary): number {
  const address = allocate(4)
  kernels.panelCols(address)
  const { buffer, byteOffset } = view(address, 4)
  const [cols] = new Int32Array(buffer, byteOffset, 1)
  release(address)
  return cols!
}

export function isNumeric(dtype: tf.DataType): dtype is NumericDtype {
  return dtype === 'float32' || dtype === 'int32' || dtype === 'bool'
}

/**
 * A tfjs backend whose tensors live in the memory of a kernel library. Every kernel of tfjs's cpu backend runs on it
 * unchanged, because it is one: those kernels read `values`. Faster kernels read addresses.
 */
export class KernelBackend extends MathBackendCPU {
  private static nextId = 0
  /** How many of tfjs's cpu kernels are running, one inside the other. */
  private cpuKernels = 0
  /** The library, whatever is put in the place of its functions to record a step: where weights lie is no part of one. */
  private readonly plain: KernelLibrary
  private readonly panelCols: number

  constructor(readonly library: KernelLibrary) {
    super()
    this.plain = { ...library }
    this.panelCols = panelColsOf(library)
  }

  private tensorData(dataId: object): TensorData {
    return this.data.get(dataId) as unknown as TensorData
  }

  private store(dataId: object, data: TensorData): void {
    this.data.set(dataId, data as never)
  }

  /** The address of a new block. Throws HEED_ARGUMENT_INVALID beyond 2^31 - 1 elements and HEED_OUT_OF_MEMORY. */
  private allocate(dtype: tf.DataType, size: number, library: KernelLibrary = this.library): number {
    if (size > 0x7fffffff) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `${library.name} backend: a tensor of ${size} elements was asked for, expected at most 2147483647. Split it.`,
      )
    }
    if (size === 0) return 0
    const bytes = size * bytesPerElement(dtype)
    const address = library.allocate(bytes)
    if (address === 0) {
      throw new HeedError(
        'HEED_OUT_OF_MEMORY',
        `${library.name} backend: ${bytes} bytes for a tensor cannot be had, ${library.memoryUse().inUse} are in use. ` +
          'Dispose of tensors that are not needed, or use a smaller batch or model.',
      )
    }
    return address
  }

  private create(dtype: NumericDtype, size: number): TensorData {
    return new TensorData(
      this.library,
      dtype,
      size,
      this.allocate(dtype, size),
      size === 0 ? zeros(dtype, 0) : undefined,
    )
  }

  private place(values: unknown, shape: number[], dtype: tf.DataType): TensorData {
    const size = tf.util.sizeFromShape(shape)
    if (!isNumeric(dtype)) return new TensorData(this.library, dtype, size, 0, values)
    const data =
      this.cpuKernels > 0 ? new TensorData(this.library, dtype, size, 0, zeros(dtype, size)) : this.create(dtype, size)
    if (values) (data.values as Float32Array).set(values as Float32Array)
    return data
  }

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): object {
    const dataId = { id: KernelBackend.nextId++ }
    this.store(dataId, this.place(values, shape, dtype))
    return dataId
  }

  override move(
    dataId: object,
    values: tf.backend_util.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    refCount: number,
  ): void {
    const data = this.place(values, shape, dtype)
    data.refCount = refCount
    this.store(dataId, data)
  }

  /** The values of a tensor, copied: they stay valid when the tensor is disposed. */
  override readSync(dataId: object): tf.backend_util.BackendValues {
    const data = this.tensorData(dataId)
    if (!isNumeric(data.dtype)) return super.readSync(dataId)
    const values = (data.values as Float32Array).slice()
    this.checkRead(data, values)
    return values
  }

  /** As `readSync`, into an array of as many numbers. */
  readInto({ dataId }: tf.TensorInfo, into: Float32Array): void {
    const data = this.tensorData(dataId)
    into.set(data.values as Float32Array)
    this.checkRead(data, into)
  }

  /** As `readInto`, of the numbers of a float32 tensor from `first` on, with a view of these alone. */
  readPartInto(tensor: tf.TensorInfo, into: Float32Array, first: number): void {
    const address = this.address(tensor) + 4 * first
    into.set(numericView(this.library, 'float32', address, into.length) as Float32Array)
    this.checkRead(this.tensorData(tensor.dataId), into)
  }

  private checkRead(data: TensorData, values: unknown): void {
    checkLost(this.library, values)
    data.owner?.checkUnchanged()
  }

  override disposeData(dataId: object, force = false): boolean {
    if (!this.data.has(dataId)) return true
    const data = this.tensorData(dataId)
    const isGone = super.disposeData(dataId, force)
    if (isGone) this.release(data, this.library)
    return isGone
  }

  /** Gives up the memory of a tensor. */
  private release({ owner, address, dtype, size }: TensorData, library: KernelLibrary): void {
    if (address === 0) return
    if (owner) owner.release(address, size * bytesPerElement(dtype))
    else library.release(address)
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return { unreliable: false, reasons: [] }
  }

  /** A new tensor with undefined content, for a kernel to fill. */
  output(shape: number[], dtype: NumericDtype = 'float32'): tf.TensorInfo {
    const dataId = { id: KernelBackend.nextId++ }
    this.store(dataId, this.create(dtype, tf.util.sizeFromShape(shape)))
    return { dataId, shape, dtype }
  }

  /** A tensor over memory that is another's. */
  over(owner: MemoryOwner, address: number, shape: number[], dtype: NumericDtype = 'float32'): tf.TensorInfo {
    const dataId = { id: KernelBackend.nextId++ }
    const data = new TensorData(this.library, dtype, tf.util.sizeFromShape(shape), address)
    data.owner = owner
    this.store(dataId, data)
    return { dataId, shape, dtype }
  }

  /** Zeros that take memory only when they are first read or written. */
  lazyZeros(shape: number[], dtype: NumericDtype = 'float32'): tf.TensorInfo {
    const dataId = { id: KernelBackend.nextId++ }
    const size = tf.util.sizeFromShape(shape)
    this.store(dataId, new TensorData(this.library, dtype, size, 0, size === 0 ? zeros(dtype, 0) : undefined))
    return { dataId, shape, dtype }
  }

  /** Where the values of a tensor lie, as the kernels want it. */
  readonly address = ({ dataId }: tf.TensorInfo): number => {
    const data = this.tensorData(dataId)
    data.owner?.check()
    data.panels?.putInOrder()
    if (data.address === 0 && data.size > 0 && isNumeric(data.dtype)) data.settle(this.allocate(data.dtype, data.size))
    return data.address
  }

  /** `address` of a tensor that is about to be written whole: lazy zeros get memory without being made zero. */
  addressToFill({ dataId }: tf.TensorInfo): number {
    const data = this.tensorData(dataId)
    data.panels?.putInOrder()
    if (data.isLazy && data.address === 0) data.address = this.allocate(data.dtype, data.size)
    return data.address
  }

  /** Where a tensor lies, in order or in panels; 0 where it has no memory yet. */
  location({ dataId }: tf.TensorInfo): number {
    return this.tensorData(dataId).address
  }

  /**
   * Where a weight lies in panels (kernels/panels.cc), which from the second product of many rows on take the place of its
   * values in order; 0 while they do not. Whoever asks for its address or its values puts it in order again.
   */
  panels({ dataId }: tf.TensorInfo, rows: number, weight: ProductWeight): number {
    const data = this.tensorData(dataId)
    const { panels } = data
    if (panels && isSameWeight(panels.of, weight)) return data.address
    panels?.putInOrder()
    const wanted = data.owner ? MOVING_PRODUCT : PACKING_PRODUCT
    if (rows < MIN_PANEL_ROWS || data.address === 0 || ++data.products < wanted) return 0
    return this.pack(data, weight) ? data.address : 0
  }

  /** Puts a weight in panels, if that hardly takes more memory and there is room for both while it is done. */
  private pack(data: TensorData, of: ProductWeight): boolean {
    const { panelCols, plain } = this
    const { depth, cols } = of
    const isTransposed = of.isTransposed ? 1 : 0
    const size = depth * panelCols * Math.ceil(cols / panelCols)
    const packed = size > data.size * (1 + MAX_PADDING) ? 0 : plain.allocate(4 * size)
    if (packed === 0) return false
    plain.kernels.packPanels(data.address, packed, depth, cols, isTransposed)
    this.release(data, plain)
    Object.assign(data, { address: packed, owner: undefined })
    const putInOrder = (): void => {
      const ordered = this.allocate('float32', data.size, plain)
      plain.kernels.unpackPanels(packed, ordered, depth, cols, isTransposed)
      plain.release(packed)
      Object.assign(data, { address: ordered, panels: undefined, products: 0 })
    }
    data.panels = { of, putInOrder }
    return true
  }

  /** The values of a numeric tensor where they lie; only until the next kernel runs, since memory may move. */
  values(tensor: tf.TensorInfo): Float32Array | Int32Array | Uint8Array {
    return this.tensorData(tensor.dataId).values as Float32Array
  }

  /** A second tensor over the same memory, with another shape. */
  alias(tensor: tf.TensorInfo, shape: number[]): tf.TensorInfo {
    this.incRef(tensor.dataId)
    return { dataId: tensor.dataId, shape, dtype: tensor.dtype }
  }

  /** Runs a kernel of this backend inside another: nothing is recorded, and the caller disposes of the result. */
  kernel(kernelName: string, inputs: object, attributes: object = {}): tf.TensorInfo {
    const { kernelFunc } = tf.getKernel(kernelName, this.library.name)
    return kernelFunc({ inputs: inputs as never, attrs: attributes as never, backend: this }) as tf.TensorInfo
  }

  /**
   * Runs tfjs's own cpu kernel. What it makes stays in JavaScript until another kernel asks for its address: a cpu kernel
   * holds views of its inputs, which would break if memory grew, and reads results that it has disposed of.
   */
  cpuKernel(kernelName: string, inputs: object, attributes: object = {}): tf.TensorInfo {
    const { kernelFunc } = tf.getKernel(kernelName, 'cpu')
    this.cpuKernels++
    try {
      return kernelFunc({ inputs: inputs as never, attrs: attributes as never, backend: this }) as tf.TensorInfo
    } finally {
      this.cpuKernels--
    }
  }
}
