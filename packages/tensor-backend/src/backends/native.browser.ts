import type { KernelLibrary } from './library.ts'

/** A browser loads no addon. */
export function loadMpiAddon(): string {
  return 'a browser loads no addon'
}

/** A browser loads no addon. */
export async function loadNative(_threads?: number): Promise<KernelLibrary | string> {
  return 'a browser loads no addon'
}
