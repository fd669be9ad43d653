export const isPage = true

/** The entry to WebGPU in a page or worker, or the reason why there is none. */
export async function openGpu(): Promise<GPU | string> {
  if (!globalThis.isSecureContext) return 'the page is not served over HTTPS or from localhost, which WebGPU needs'
  // `gpu` is missing where a browser has no WebGPU.
  const { gpu } = navigator as { gpu?: GPU }
  return gpu ?? 'this browser has no WebGPU'
}

/** tfjs looks for WebGPU in `navigator`, where a browser has it. */
export function withNavigatorGpu<T>(_gpu: GPU, use: () => T): T {
  return use()
}
