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
