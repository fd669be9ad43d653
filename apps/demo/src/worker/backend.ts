import { type BackendReport, init } from '@heed/tensor-backend'

let started: Promise<BackendReport> | undefined

/** Starts the fastest backend of this browser, once. `?backend=wasm` in the page's address chooses another. */
export function startBackend(): Promise<BackendReport> {
  const wanted = new URLSearchParams(self.name.split('?')[1]).get('backend')
  started ??= init(wanted ? { backend: wanted as BackendReport['backend'] } : {})
  return started
}
