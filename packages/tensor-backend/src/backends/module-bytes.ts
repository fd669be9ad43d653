import { readFile } from 'node:fs/promises'
import { setFlagsFromString } from 'node:v8'

/** Node 20 has relaxed SIMD behind a flag that can be set while it runs; later versions have it without. */
export function enableRelaxedSimd(): void {
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd')
}

/** The bytes of a WebAssembly module that lies beside this package. */
export async function moduleBytes(url: URL): Promise<BufferSource> {
  return readFile(url)
}
