import { loadNative } from '#native'
import { isPage } from '#webgpu-platform'
import { registerLibrary } from './backends/register.ts'
import { loadWasm } from './backends/wasm.ts'
import { HeedError } from './errors.ts'
import { shown } from './files/strict-json.ts'
import { checkOptionNames } from './option-names.ts'
import { tf } from './tf.ts'

export type BackendName = 'native' | 'wasm' | 'webgpu' | 'cpu'

export interface InitOptions {
  /**
   * `auto` takes the first that works: in Node of native, wasm, cpu; in a page of webgpu, where there is a real GPU, wasm,
   * cpu. `HEED_BACKEND` overrides.
   */
  backend?: BackendName | 'auto'
  /**
   * Threads of the kernels; by default the number of cores, of which the processes of an MPI job on
   * one machine have equal shares. `HEED_THREADS` overrides. The wasm backend has one in a page
   * that is not cross-origin isolated, and where the runtime lacks relaxed SIMD.
   */
  threads?: number
}

/** What `init` chose, and why each backend before it in the order was not. */
export interface BackendReport {
  backend: BackendName
  threads: number
  /** What the kernels use, such as `avx512`, `relaxed-simd` or `javascript`; of webgpu the adapter, such as `apple metal-3`. */
  instructionSet: string
  rejected: Array<{ backend: BackendName; reason: string }>
}

const backendNames = ['auto', 'native', 'wasm', 'webgpu', 'cpu'] as const
const automaticOrder: BackendName[] = isPage ? ['webgpu', 'wasm', 'cpu'] : ['native', 'wasm', 'cpu']

const environment: Record<string, string | undefined> = typeof process === 'undefined' ? {} : process.env

/** Reads HEED_BACKEND and HEED_THREADS over the options. Throws HEED_ARGUMENT_INVALID. */
function resolveOptions(options: InitOptions): { backend: BackendName | 'auto'; threads: number | undefined } {
  const backend = environment.HEED_BACKEND || options.backend || 'auto'
  const backendSource = environment.HEED_BACKEND ? 'HEED_BACKEND' : 'init: backend'
  if (!backendNames.includes(backend as BackendName)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${backendSource} is ${JSON.stringify(backend)}, expected one of ${backendNames.join(', ')}. Leave it out to take the fastest.`,
    )
  }
  const threads = environment.HEED_THREADS ? Number(environment.HEED_THREADS) : options.threads
  const threadsSource = environment.HEED_THREADS ? 'HEED_THREADS' : 'init: threads'
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${threadsSource} is ${environment.HEED_THREADS ?? shown(threads)}, expected a whole number from 1 to 1024. Leave it out for one per core.`,
    )
  }
  return { backend: backend as BackendName | 'auto', threads }
}

interface Prepared {
  threads: number
  instructionSet: string
  /** Of webgpu: its GPU is a program. It runs when asked for, and is not chosen. */
  isSoftware?: boolean
}

/** Makes a backend ready to be chosen, or gives the reason why it cannot run here. */
async function prepare(backend: BackendName, threads: number | undefined): Promise<Prepared | string> {
  if (backend === 'cpu') return { threads: 1, instructionSet: 'javascript' }
  if (backend === 'webgpu') return (await import('./backends/webgpu.ts')).loadWebgpu()
  const library = backend === 'native' ? await loadNative(threads) : await loadWasm(threads)
  if (typeof library === 'string') return library
  registerLibrary(library)
  return library
}

/** `asked`: the threads a caller named, which may be more than could be had. */
const ready = new Map<string, Prepared & { asked?: number | undefined }>()

/**
 * Chooses the backend every tensor lives on from now on. Tensors made before stay where they are and move when used.
 * Calling it again switches; the same backend with other threads is refused, since its tensors are in use.
 * Throws HEED_ARGUMENT_INVALID, and HEED_BACKEND_UNAVAILABLE when the backend asked for cannot run here.
 */
export async function init(options: InitOptions = {}): Promise<BackendReport> {
  checkOptionNames('init', options, ['backend', 'threads'] satisfies (keyof InitOptions)[])
  const { backend: wanted, threads } = resolveOptions(options)
  const rejected: BackendReport['rejected'] = []
  for (const backend of wanted === 'auto' ? automaticOrder : [wanted]) {
    const known = ready.get(backend)
    const prepared = known ?? (await prepare(backend, threads))
    if (typeof prepared === 'string') {
      rejected.push({ backend, reason: prepared })
      continue
    }
    if (wanted === 'auto' && prepared.isSoftware) {
      rejected.push({ backend, reason: `its GPU is a program: ${prepared.instructionSet}` })
      ready.set(backend, prepared)
      continue
    }
    const isOther = known && threads !== undefined && threads !== known.threads && threads !== known.asked
    if (isOther && (backend === 'native' || backend === 'wasm')) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `init: threads is ${threads}, expected ${known.threads}, with which the ${backend} backend was started. Call init once, first.`,
      )
    }
    ready.set(backend, { asked: threads, ...prepared })
    await tf.setBackend(backend)
    return { backend, threads: prepared.threads, instructionSet: prepared.instructionSet, rejected }
  }
  throw new HeedError(
    'HEED_BACKEND_UNAVAILABLE',
    `init: backend is '${wanted}', which cannot run here: ${rejected.map(({ reason }) => reason).join('; ')}. ` +
      "Leave backend out to take the fastest that can, or run 'heed doctor'.",
  )
}

/** What one backend would be on this machine, or why it cannot run here. */
export type BackendFinding =
  | { backend: BackendName; isAvailable: true; threads: number; instructionSet: string }
  | { backend: BackendName; isAvailable: false; reason: string }

/** Tries every backend in turn, without choosing one; for `heed doctor`. */
export async function examineBackends(): Promise<BackendFinding[]> {
  const findings: BackendFinding[] = []
  for (const backend of ['native', 'wasm', 'webgpu', 'cpu'] as const) {
    const prepared = ready.get(backend) ?? (await prepare(backend, resolveOptions({}).threads))
    if (typeof prepared === 'string') findings.push({ backend, isAvailable: false, reason: prepared })
    else {
      ready.set(backend, prepared)
      findings.push({ backend, isAvailable: true, threads: prepared.threads, instructionSet: prepared.instructionSet })
    }
  }
  return findings
}
