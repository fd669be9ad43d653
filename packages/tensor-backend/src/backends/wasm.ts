import { enableRelaxedSimd, moduleBytes } from '#module-bytes'
import { camelCase, type KernelLibrary, type Kernels } from './library.ts'

interface WasmExports {
  memory: WebAssembly.Memory
  allocate(bytes: number): number
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

/** Loads the WebAssembly module with relaxed SIMD (fused multiply-add) where the runtime has it, else the plain one; or gives the reason why not. */
export async function loadWasm(): Promise<KernelLibrary | string> {
  enableRelaxedSimd()
  const isRelaxed = WebAssembly.validate(relaxedSimdProbe)
  let exports: WasmExports
  try {
    const url = isRelaxed
      ? new URL('../../build/heed-relaxed.wasm', import.meta.url)
      : new URL('../../build/heed.wasm', import.meta.url)
    const { instance } = await WebAssembly.instantiate(await moduleBytes(url), {})
    exports = instance.exports as unknown as WasmExports
  } catch (error) {
    return `the WebAssembly module cannot be loaded: ${(error as Error).message}`
  }
  exports._initialize?.()
  const { memory } = exports
  const kernels = Object.entries(exports)
    .filter(([name]) => name.startsWith('wasm_'))
    .map(([name, kernel]) => [camelCase(name.slice('wasm_'.length)), kernel] as const)
  return {
    name: 'wasm',
    instructionSet: isRelaxed ? 'relaxed-simd' : 'simd128',
    threads: 1,
    kernels: Object.fromEntries(kernels) as unknown as Kernels,
    // Addresses come back as signed 32-bit numbers.
    allocate: bytes => exports.allocate(bytes) >>> 0,
    release: exports.release,
    view: address => ({ buffer: memory.buffer, byteOffset: address }),
    memoryUse: () => ({ inUse: exports.bytes_in_use() >>> 0, cached: exports.bytes_cached() >>> 0 }),
  }
}
