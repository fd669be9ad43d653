/** Browsers have relaxed SIMD or not; there is nothing to enable. */
export function enableRelaxedSimd(): void {}

/** The bytes of a WebAssembly module that lies beside this package. */
export async function moduleBytes(url: URL): Promise<BufferSource> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: HTTP status ${response.status}`)
  return response.arrayBuffer()
}

/** One thread per core. */
export function defaultThreads(): number {
  return navigator.hardwareConcurrency
}

/** Runs `source`, a function, on `data` in a worker. */
export async function startWorker(source: string, data: unknown): Promise<void> {
  const url = URL.createObjectURL(
    new Blob([`onmessage = ({ data }) => (${source})(data)`], { type: 'text/javascript' }),
  )
  const worker = new Worker(url)
  worker.postMessage(data)
}
