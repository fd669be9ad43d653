import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { WorkerStart } from './wasm-threads.ts'

/** Node 20 has relaxed SIMD behind a flag that can be set while it runs; later versions have it without. */
export function enableRelaxedSimd(): void {
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd')
}

/** The bytes of a WebAssembly module that lies beside this package. */
export async function moduleBytes(url: URL): Promise<BufferSource> {
  return readFile(url)
}

/** Whether memory can be shared between threads of JavaScript here. */
export function canShareMemory(): boolean {
  return true
}

/** Whether this thread may sleep until another wakes it. */
export function mayWait(): boolean {
  return true
}

export function numCores(): number {
  return availableParallelism()
}

/** Starts a thread that does not keep the process alive; resolves once it works. */
export function startWorker(start: WorkerStart): Promise<void> {
  const url = new URL('../../kernels/wasm-worker.js', import.meta.url)
  const script = `const { parentPort, workerData } = require('node:worker_threads')
    import(${JSON.stringify(url.href)}).then(({ work }) => work(workerData, () => parentPort.postMessage('ready')))`
  return new Promise((resolve, reject) => {
    const worker = new Worker(script, { eval: true, execArgv: [], workerData: start })
    worker.once('error', reject)
    worker.once('message', () => {
      worker.unref()
      resolve()
    })
  })
}
