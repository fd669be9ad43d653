import { defaultThreads, enableRelaxedSimd, moduleBytes, startWorker } from '#module-bytes'
import { camelCase, type KernelLibrary, type Kernels } from './library.ts'

interface WasmExports {
  memory: WebAssembly.Memory
  allocate(bytes: number): number
  release(address: number): void
  bytes_in_use(): number
  bytes_cached(): number
  _initialize?(): void
}

/** What the module with threads exports besides. */
interface ThreadExports extends WasmExports {
  __tls_size: WebAssembly.Global
  set_num_threads(count: number): void
}

// A module of one function whose body is `i8x16.relaxed_swizzle(i8x16.splat(1), i8x16.splat(2))`: valid only where relaxed
// SIMD is.
const relaxedSimdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
  253, 128, 2, 11,
])

/**
 * Loads the WebAssembly module, or gives the reason why not. With relaxed SIMD (fused multiply-add) where the runtime has
 * it, and there with threads where memory can be shared: in Node, and in pages that are cross-origin isolated.
 */
export async function loadWasm(threads?: number): Promise<KernelLibrary | string> {
  enableRelaxedSimd()
  const isRelaxed = WebAssembly.validate(relaxedSimdProbe)
  const count = threads ?? defaultThreads()
  try {
    const canShare = typeof SharedArrayBuffer === 'function' && globalThis.crossOriginIsolated !== false
    const shared = isRelaxed && canShare && count > 1 ? await loadThreads(count) : undefined
    if (shared) return shared
    const url = isRelaxed
      ? new URL('../../build/heed-relaxed.wasm', import.meta.url)
      : new URL('../../build/heed.wasm', import.meta.url)
    const { instance } = await WebAssembly.instantiate(await moduleBytes(url), {})
    const exports = instance.exports as unknown as WasmExports
    exports._initialize?.()
    return libraryOf(exports, exports.memory, isRelaxed ? 'relaxed-simd' : 'simd128', 1)
  } catch (error) {
    return `the WebAssembly module cannot be loaded: ${(error as Error).message}`
  }
}

// Pages of 64 KiB: what heed-threads.wasm was linked with.
const initialPages = 64
const maximumPages = 65536
const workerStackBytes = 1 << 20
const tlsAlignment = 16

/** The module whose loops run on several workers; undefined where so much shared memory cannot be had. */
async function loadThreads(threads: number): Promise<KernelLibrary | undefined> {
  let memory: WebAssembly.Memory
  try {
    memory = new WebAssembly.Memory({ initial: initialPages, maximum: maximumPages, shared: true })
  } catch {
    return undefined
  }
  const bytes = await moduleBytes(new URL('../../build/heed-threads.wasm', import.meta.url))
  const { module, instance } = await WebAssembly.instantiate(bytes, { env: { memory } })
  const exports = instance.exports as unknown as ThreadExports
  exports._initialize?.()
  for (let i = 1; i < threads; i++) {
    const stack = exports.allocate(workerStackBytes) >>> 0
    const tls = exports.allocate(Number(exports.__tls_size.value) + tlsAlignment) >>> 0
    await startWorker(workerSource, { module, memory, stackEnd: stack + workerStackBytes, tls })
  }
  exports.set_num_threads(threads)
  return libraryOf(exports, memory, 'relaxed-simd', threads)
}

/** What each worker does: it makes its own instance on the shared memory, with its own stack, and works until it is ended. */
const workerSource = `({ module, memory, stackEnd, tls }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  exports.__stack_pointer.value = stackEnd
  exports.__wasm_init_tls(tls)
  exports.work()
}`

function libraryOf(
  exports: WasmExports,
  memory: WebAssembly.Memory,
  instructionSet: string,
  threads: number,
): KernelLibrary {
  const kernels = Object.entries(exports)
    .filter(([name]) => name.startsWith('wasm_'))
    .map(([name, kernel]) => [camelCase(name.slice('wasm_'.length)), kernel] as const)
  return {
    name: 'wasm',
    instructionSet,
    threads,
    kernels: Object.fromEntries(kernels) as unknown as Kernels,
    // Addresses come back as signed 32-bit numbers.
    allocate: bytes => exports.allocate(bytes) >>> 0,
    release: exports.release,
    view: address => ({ buffer: memory.buffer, byteOffset: address }),
    memoryUse: () => ({ inUse: exports.bytes_in_use() >>> 0, cached: exports.bytes_cached() >>> 0 }),
  }
}
