/** Browsers have relaxed SIMD or not; there is nothing to enable. */
export function enableRelaxedSimd(): void {}

/** The bytes of a WebAssembly module that lies beside this package. */
export async function moduleBytes(url: URL): Promise<BufferSource> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: HTTP status ${response.status}`)
  return response.arrayBuffer()
}
