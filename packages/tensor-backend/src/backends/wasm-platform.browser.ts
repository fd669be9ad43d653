import type { WorkerStart } from './wasm-threads.ts'

/** Browsers have relaxed SIMD or not; there is nothing to enable. */
export function enableRelaxedSimd(): void {}

/** The bytes of a WebAssembly module that lies beside this package. */
export async function moduleBytes(url: URL): Promise<BufferSource> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: HTTP status ${response.status}`)
  return response.arrayBuffer()
}

/** Whether memory can be shared between threads of JavaScript here: pages must ask for it by two headers. */
export function canShareMemory(): boolean {
  return globalThis.crossOriginIsolated
}

/** Whether this thread may sleep until another wakes it: a worker may, the main thread of a page may not. */
export function mayWait(): boolean {
  return !('document' in globalThis)
}

export function numCores(): number {
  return navigator.hardwareConcurrency
}

/** Starts a worker, which ends with the page; resolves once it works. */
export function startWorker(start: WorkerStart): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('../../kernels/wasm-worker.js', import.meta.url), { type: 'module' })
    worker.addEventListener('error', event => reject(new Error(`a worker cannot be started: ${event.message}`)))
    worker.addEventListener('message', () => resolve(), { once: true })
    worker.postMessage(start)
  })
}
