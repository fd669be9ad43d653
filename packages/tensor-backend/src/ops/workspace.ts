import type { KernelBackend } from '../backends/kernel-backend.ts'

/** Calls `use` with the address of `floats` floats that exist until it returns. */
export function withWorkspace(backend: KernelBackend, floats: number, use: (address: number) => void): void {
  const block = backend.output([floats])
  try {
    use(backend.address(block))
  } finally {
    backend.disposeData(block.dataId)
  }
}

/** Calls `use` with the address of a table of doubles, written row after row: how a kernel is told of many tensors. */
export function withTable(backend: KernelBackend, values: number[], use: (address: number) => void): void {
  withWorkspace(backend, 2 * values.length, address => {
    if (address !== 0) {
      const { buffer, byteOffset } = backend.library.view(address, 8 * values.length)
      new Float64Array(buffer, byteOffset, values.length).set(values)
    }
    use(address)
  })
}

/**
 * Into how many parts the rows are cut when a gradient sums over them; not by the number of threads, so that the sums do
 * not depend on it.
 */
export function rowParts(rows: number): number {
  return Math.max(1, Math.min(64, Math.ceil(rows / 16)))
}
