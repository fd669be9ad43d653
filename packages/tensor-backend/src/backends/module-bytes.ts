import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'

/** Node 20 has relaxed SIMD behind a flag that can be set while it runs; later versions have it without. */
export function enableRelaxedSimd(): void {
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd')
}

/** The bytes of a WebAssembly module that lies beside this package. */
export async function moduleBytes(url: URL): Promise<BufferSource> {
  return readFile(url)
}

/** One thread per core. */
export function defaultThreads(): number {
  return availableParallelism()
}

/** Runs `source`, a function, on `data` in a worker that does not keep the process alive. */
export async function startWorker(source: string, data: unknown): Promise<void> {
  const worker = new Worker(`(${source})(require('node:worker_threads').workerData)`, { eval: true, workerData: data })
  worker.unref()
}
