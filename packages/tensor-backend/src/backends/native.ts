import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import { coresEach } from '../job.ts'
import { type CallProgram, camelCase, type KernelCall, type KernelLibrary, type Kernels } from './library.ts'

/** The part of the addon that talks to the other processes of an MPI job; addresses are those of tensors. */
export interface MpiAddon {
  mpi_join(libraries: string[]): { rank: number; size: number } | string
  /** A sum, or a copy from the process `root` when that is not -1. Returns a ticket to wait for. */
  mpi_send(addresses: Float64Array, counts: Float64Array, root: number): number
  mpi_sum_doubles(values: Float64Array): void
  mpi_wait(ticket: number): void
  mpi_times(): { communicating: number; waiting: number }
  mpi_leave(): void
}

interface Addon extends MpiAddon {
  allocate(bytes: number): number
  release(address: number): void
  view(address: number, bytes: number): ArrayBuffer
  /** Gives the memory of this thread back when it ends. */
  release_at_end(): void
  trim(): void
  memory_use(): { inUse: number; cached: number }
  configure(threads: number, instructionSet: string): string | undefined
  /** Calls of kernels by their places in `kernel_names`, each followed by its arguments. */
  run(calls: Float64Array): void
  kernel_names(): string[]
  map_file?: KernelLibrary['mapFile']
  unmap_file?: KernelLibrary['unmapFile']
  forget_pages?: KernelLibrary['forgetPages']
  has_lost?: KernelLibrary['hasLost']
  read_floats?: KernelLibrary['readFloats']
  read_strips?: KernelLibrary['readStrips']
  read_linear?: KernelLibrary['readLinear']
}

/**
 * The addons that are here, best first: prebuilt, in the optional package of this platform, then built from source.
 * `require` is that of the module that depends on the optional package.
 */
export function addonPaths(require: NodeJS.Require = createRequire(import.meta.url)): string[] {
  const built = fileURLToPath(new URL('../../build/heed.node', import.meta.url))
  const paths = existsSync(built) ? [built] : []
  try {
    return [require.resolve(`@heed/tensor-backend-${process.platform}-${process.arch}`), ...paths]
  } catch {
    return paths
  }
}

/** The first of these addons that can be loaded, or the reason why the last cannot. */
function loadAddon(paths: string[]): Addon | string {
  let reason = 'the addon is not built (no prebuilt one for this platform, and no C++ compiler when Heed was installed)'
  for (const path of paths) {
    try {
      return createRequire(import.meta.url)(path) as Addon
    } catch (error) {
      reason = `the addon cannot be loaded: ${(error as Error).message}`
    }
  }
  return reason
}

/** Calls that the addon makes by itself. */
function programOf(addon: Addon, calls: readonly KernelCall[]): CallProgram {
  const names = addon.kernel_names().map(camelCase)
  const numbers = Float64Array.from(calls.flatMap(({ kernel, args }) => [names.indexOf(kernel), ...args]))
  let end = 0
  const starts = calls.map(({ args }) => {
    const start = end + 1
    end = start + args.length
    return start
  })
  return { numbers, starts, run: () => addon.run(numbers) }
}

/** How long blocks are kept for the next text, in milliseconds: texts that follow one another take the same ones. */
const TRIM_DELAY = 2000

/** `trim` after the delay, which each call begins anew; the process does not wait for it. */
function delayed(trim: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  return () => {
    timer = timer?.refresh() ?? setTimeout(trim, TRIM_DELAY).unref()
  }
}

/** The addon for MPI, or the reason why it cannot be loaded. */
export function loadMpiAddon(): MpiAddon | string {
  return loadAddon(addonPaths())
}

/**
 * Loads the Node addon, or gives the reason why it cannot be loaded.
 * `HEED_INSTRUCTION_SET` (avx512, avx2, neon, plain) makes it use a smaller instruction set than the processor has.
 */
export async function loadNative(threads?: number): Promise<KernelLibrary | string> {
  const addon = loadAddon(addonPaths())
  if (typeof addon === 'string') return addon
  if (!isMainThread) addon.release_at_end()
  const count = threads ?? coresEach(availableParallelism())
  const wanted = process.env.HEED_INSTRUCTION_SET ?? ''
  const instructionSet = addon.configure(count, wanted)
  if (!instructionSet) return `HEED_INSTRUCTION_SET is ${wanted}, which this processor does not have`

  const kernels = Object.fromEntries(Object.entries(addon).map(([name, kernel]) => [camelCase(name), kernel]))
  return {
    name: 'native',
    instructionSet,
    threads: count,
    kernels: kernels as unknown as Kernels,
    program: calls => programOf(addon, calls),
    ...(addon.map_file && {
      mapFile: addon.map_file,
      unmapFile: addon.unmap_file!,
      forgetPages: addon.forget_pages!,
      hasLost: addon.has_lost!,
    }),
    ...(addon.read_floats && { readFloats: addon.read_floats }),
    ...(addon.read_strips && { readStrips: addon.read_strips }),
    ...(addon.read_linear && { readLinear: addon.read_linear }),
    allocate: addon.allocate,
    release: addon.release,
    view: (address, bytes) => ({ buffer: addon.view(address, bytes), byteOffset: 0 }),
    trim: addon.trim,
    trimSoon: delayed(addon.trim),
    memoryUse: addon.memory_use,
  }
}
