import type { KernelLibrary } from './library.ts'

/** A browser loads no addon. */
export async function loadNative(_threads?: number): Promise<KernelLibrary | string> {
  return 'a browser loads no addon'
}
