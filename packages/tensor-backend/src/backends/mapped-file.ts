import { HeedError } from '../errors.ts'
import type { SharedFile } from '../files/byte-source.ts'
import { tf } from '../tf.ts'
import type { KernelBackend, MemoryOwner } from './kernel-backend.ts'
import type { KernelLibrary } from './library.ts'

/** The files that are mapped in this thread. */
const mapped = new Set<MappedFile>()

/**
 * A file as memory of the kernels: tensors in it are not copied, and are read when they are used. What is written to them stays
 * in this process. The mapping is there until its opener has closed it and its tensors are disposed of.
 */
export class MappedFile implements MemoryOwner {
  private holders = 1
  /** Where tensors lie or lay: what is written to them may still be there. */
  private readonly taken = new Set<number>()

  private constructor(
    private readonly backend: KernelBackend,
    private readonly start: number,
    private readonly byteLength: number,
    private readonly file: SharedFile,
  ) {
    file.hold()
    mapped.add(this)
  }

  /** Holds the file as long as it is mapped. Undefined where the backend cannot map it. */
  static open(backend: KernelBackend, file: SharedFile, byteLength: number): MappedFile | undefined {
    const start = backend.library.mapFile?.(file.fd, byteLength) ?? 0
    return start === 0 ? undefined : new MappedFile(backend, start, byteLength, file)
  }

  get name(): string {
    return this.file.name
  }

  /**
   * The float32 tensor that lies at a byte of the file; undefined where the active backend cannot have it there, or another
   * was made there.
   */
  floats(byteOffset: number, shape: readonly number[]): tf.Tensor | undefined {
    if (tf.backend() !== this.backend || byteOffset % 4 !== 0 || this.taken.has(byteOffset)) return undefined
    this.taken.add(byteOffset)
    this.holders += 1
    return tf.engine().makeTensorFromTensorInfo(this.backend.over(this, this.start + byteOffset, [...shape]))
  }

  get hasLost(): boolean {
    return this.backend.library.hasLost!(this.start)
  }

  check(): void {
    if (this.hasLost) throw isShorter(this.name)
  }

  checkUnchanged(): void {
    if (this.file.isUnchanged()) return
    throw new HeedError(
      'HEED_IO',
      `${this.name}: it has changed since tensors were opened from it, and their values with it. Dispose of them, and load them again.`,
    )
  }

  release(address: number, bytes: number): void {
    this.backend.library.forgetPages!(address, bytes)
    this.close()
  }

  close(): void {
    this.holders -= 1
    if (this.holders > 0) return
    mapped.delete(this)
    this.backend.library.unmapFile!(this.start, this.byteLength)
    this.file.release()
  }
}

function isShorter(name: string): HeedError {
  return new HeedError(
    'HEED_IO',
    `${name}: it has become shorter since tensors were opened from it, and their values are lost. ` +
      'Dispose of them, and load them from a whole file.',
  )
}

/** Throws HEED_IO when some of the values are no numbers, and a mapped file has lost what they may come from. */
export function checkLost(library: KernelLibrary, values: unknown): void {
  if (!library.hasLost?.(0) || !(values instanceof Float32Array) || !values.some(Number.isNaN)) return
  const names = [...mapped].filter(file => file.hasLost).map(file => file.name)
  throw isShorter(names.join(', ') || 'a file')
}
