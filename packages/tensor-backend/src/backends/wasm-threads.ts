import { canShareMemory, mayWait, startWorker } from '#wasm-platform'

/** What the module with shared memory exports besides the kernels. */
export interface ThreadExports {
  allocate(bytes: number): number
  set_num_threads(count: number, canSleep: number): void
  __tls_size: WebAssembly.Global
}

/** What `work` of `kernels/wasm-worker.js` is given. */
export interface WorkerStart {
  module: WebAssembly.Module
  memory: WebAssembly.Memory
  stack: number
  threadLocal: number
}

// The size `kernels/build.mjs` gives the memory of the module with threads, and the most WebAssembly has: 4 MiB to 4 GiB.
const initialPages = 64
const maximumPages = 65536
// As much as the stack of the first thread.
const stackBytes = 1 << 20

/** Memory for the module with threads; none where a page may not share memory, or not reserve so much of it. */
export function sharedMemory(): WebAssembly.Memory | undefined {
  if (!canShareMemory()) return undefined
  try {
    return new WebAssembly.Memory({ initial: initialPages, maximum: maximumPages, shared: true })
  } catch {
    return undefined
  }
}

/** Starts the threads besides the caller's, which work on the kernels' loops until the process or page ends. */
export async function startThreads(
  threads: number,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  exports: ThreadExports,
): Promise<void> {
  const start = (): Promise<void> => {
    const stack = (exports.allocate(stackBytes) >>> 0) + stackBytes
    const threadLocal = exports.allocate(exports.__tls_size.value) >>> 0
    return startWorker({ module, memory, stack, threadLocal })
  }
  await Promise.all(Array.from({ length: threads - 1 }, start))
  exports.set_num_threads(threads, mayWait() ? 1 : 0)
}
