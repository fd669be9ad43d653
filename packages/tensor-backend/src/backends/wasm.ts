import { enableRelaxedSimd, moduleBytes, numCores } from '#wasm-platform'
import { camelCase, type KernelLibrary, type Kernels, programOf } from './library.ts'
import { sharedMemory, startThreads, type ThreadExports } from './wasm-threads.ts'

interface WasmExports extends ThreadExports {
  memory?: WebAssembly.Memory
  release(address: number): void
  bytes_in_use(): number
  bytes_cached(): number
  _initialize?(): void
}

// A module of one function whose body is `i8x16.relaxed_swizzle(i8x16.splat(1), i8x16.splat(2))`: valid only where relaxed
// SIMD is.
const relaxedSimdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
  253, 128, 2, 11,
])

/**
 * Loads a WebAssembly module, or gives the reason why not: the one with threads where memory can be shared and more than
 * one is asked for, else the one with relaxed SIMD (fused multiply-add) where the runtime has it, else the plain one.
 */
export async function loadWasm(threads: number = numCores()): Promise<KernelLibrary | string> {
  enableRelaxedSimd()
  const isRelaxed = WebAssembly.validate(relaxedSimdProbe)
  const withThreads = isRelaxed && threads > 1 ? await loadThreads(threads) : undefined
  if (withThreads) return withThreads
  try {
    const url = isRelaxed
      ? new URL('../../build/heed-relaxed.wasm', import.meta.url)
      : new URL('../../build/heed.wasm', import.meta.url)
    const { instance } = await WebAssembly.instantiate(await moduleBytes(url), {})
    const exports = instance.exports as unknown as WasmExports
    return library(exports, exports.memory!, 1, isRelaxed ? 'relaxed-simd' : 'simd128')
  } catch (error) {
    return `the WebAssembly module cannot be loaded: ${(error as Error).message}`
  }
}

/** The module with threads, unless they cannot be had here: then one thread does the work. */
async function loadThreads(threads: number): Promise<KernelLibrary | undefined> {
  const memory = sharedMemory()
  if (!memory) return undefined
  try {
    const url = new URL('../../build/heed-threads.wasm', import.meta.url)
    const now = (): number => performance.now()
    const { module, instance } = await WebAssembly.instantiate(await moduleBytes(url), { env: { memory, now } })
    const exports = instance.exports as unknown as WasmExports
    const loaded = library(exports, memory, threads, 'relaxed-simd')
    await startThreads(threads, module, memory, exports)
    return loaded
  } catch {
    return undefined
  }
}

function library(
  exports: WasmExports,
  memory: WebAssembly.Memory,
  threads: number,
  instructionSet: string,
): KernelLibrary {
  exports._initialize?.()
  const entries = Object.entries(exports)
    .filter(([name]) => name.startsWith('wasm_'))
    .map(([name, kernel]) => [camelCase(name.slice('wasm_'.length)), kernel] as const)
  const kernels = Object.fromEntries(entries) as unknown as Kernels
  return {
    name: 'wasm',
    instructionSet,
    threads,
    kernels,
    program: calls => programOf(kernels, calls),
    // Addresses come back as signed 32-bit numbers.
    allocate: bytes => exports.allocate(bytes) >>> 0,
    release: exports.release,
    view: address => ({ buffer: memory.buffer, byteOffset: address }),
    memoryUse: () => ({ inUse: exports.bytes_in_use() >>> 0, cached: exports.bytes_cached() >>> 0 }),
  }
}
