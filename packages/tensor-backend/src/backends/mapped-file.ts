import { HeedError } from '../errors.ts'
import type { ByteSource } from '../files/byte-source.ts'
import { tf } from '../tf.ts'
import type { KernelBackend, MemoryOwner } from './kernel-backend.ts'
import type { KernelLibrary } from './library.ts'

/** The names of the files that are mapped, by where they lie. */
const names = new Map<number, string>()

/**
 * A file as memory of the kernels: tensors in it are not copied, and are read when they are used. What is written to them stays
 * in this process. The mapping is there until its opener has closed it and its tensors are disposed of.
 */
export class MappedFile implements MemoryOwner {
  private holders = 1

  private constructor(
    private readonly backend: KernelBackend,
    private readonly start: number,
    private readonly byteLength: number,
  ) {}

  /** Undefined where the backend cannot map it. */
  static open(backend: KernelBackend, { fd = -1, byteLength, name }: ByteSource): MappedFile | undefined {
    const start = fd < 0 ? 0 : (backend.library.mapFile?.(fd, byteLength) ?? 0)
    if (start === 0) return undefined
    names.set(start, name)
    return new MappedFile(backend, start, byteLength)
  }

  /** The float32 tensor that lies at a byte of the file; undefined where the active backend cannot have it there. */
  floats(byteOffset: number, shape: readonly number[]): tf.Tensor | undefined {
    if (tf.backend() !== this.backend || byteOffset % 4 !== 0) return undefined
    this.holders += 1
    return tf.engine().makeTensorFromTensorInfo(this.backend.over(this, this.start + byteOffset, [...shape]))
  }

  release(address: number, bytes: number): void {
    this.backend.library.forgetPages!(address, bytes)
    this.close()
  }

  close(): void {
    this.holders -= 1
    if (this.holders > 0) return
    names.delete(this.start)
    this.backend.library.unmapFile!(this.start, this.byteLength)
  }
}

/** Throws HEED_IO when values that lie in a mapped file are no longer there. */
export function checkMappings(library: KernelLibrary): void {
  const lost = library.lostMapping?.() ?? 0
  if (lost === 0) return
  throw new HeedError(
    'HEED_IO',
    `${names.get(lost) ?? 'a file'}: it has become shorter since tensors were opened from it, and their values are lost. ` +
      'Dispose of them, and load them from a whole file.',
  )
}
