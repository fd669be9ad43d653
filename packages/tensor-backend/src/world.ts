import { loadMpiAddon } from '#native'
import type { KernelBackend } from './backends/kernel-backend.ts'
import type { MpiAddon } from './backends/native.ts'
import { HeedError } from './errors.ts'
import { sizeOfJob } from './job.ts'
import { addressToWrite, inPlaceBackend } from './ops/in-place.ts'
import { tf } from './tf.ts'

/** The processes that train one model together: those that `mpirun`, Slurm or an MPI operator started. */
export interface World {
  /** This process's number, from 0, and how many there are. */
  readonly rank: number
  readonly size: number
  /** Sums of numbers over all processes; waits for them. */
  sum(values: readonly number[]): number[]
  /**
   * Sums a tensor, which the caller gives up, over all processes -> the tensor that will hold the sum after `wait`, and must
   * stay as it is until then. All processes must ask for the same in the same order.
   */
  startSum(tensor: tf.Tensor): tf.Tensor
  /** Copies variables from the process `root` to all others, as `startSum`. */
  startBroadcast(variables: readonly tf.Variable[], root: number): void
  wait(): void
  /** Seconds in which messages were on their way, and in which this process waited for them. */
  times(): { communicating: number; waiting: number }
  /** Makes the end of this process one that the others take as a failure, and end too. */
  fail(): void
}

const environment: Record<string, string | undefined> = typeof process === 'undefined' ? {} : process.env

function libraryNames(): string[] {
  if (environment.HEED_MPI_LIBRARY) return [environment.HEED_MPI_LIBRARY]
  if (process.platform === 'darwin') return ['libmpi.dylib']
  const openMpi = ['libmpi.so.40', 'libmpi.so']
  const mpich = ['libmpich.so.12', 'libmpi.so.12', 'libmpich.so']
  return environment.PMI_SIZE === undefined ? [...openMpi, ...mpich] : [...mpich, ...openMpi]
}

let joined: World | undefined

/**
 * Joins the MPI job that started this process; undefined outside of one. It loads the system's libmpi (`HEED_MPI_LIBRARY`
 * names another), Open MPI's or one with the ABI of MPICH. Throws HEED_DEPENDENCY_MISSING when there is none, and
 * HEED_BACKEND_UNAVAILABLE unless the backend is native.
 */
export function joinWorld(): World | undefined {
  if (joined) return joined
  const size = sizeOfJob()
  if (!(size > 1)) return undefined
  const backend = inPlaceBackend()
  if (backend?.library.name !== 'native') {
    throw new HeedError(
      'HEED_BACKEND_UNAVAILABLE',
      `joinWorld: backend is ${tf.getBackend()}, expected native in a job of ${size} processes. Call init({ backend: 'native' }) first.`,
    )
  }
  const addon = loadMpiAddon()
  const place = typeof addon === 'string' ? addon : addon.mpi_join(libraryNames())
  if (typeof addon === 'string' || typeof place === 'string') {
    throw new HeedError(
      'HEED_DEPENDENCY_MISSING',
      `joinWorld: this is one of ${size} processes, but libmpi cannot be loaded: ${place}. Install Open MPI or MPICH, or set HEED_MPI_LIBRARY to its library.`,
    )
  }
  joined = new MpiWorld(addon, place.rank, place.size, backend)
  return joined
}

/** Values in a message: large enough that its latency is small beside it, small enough that many overlap the backward pass. */
const bucketSize = 2 ** 20

class MpiWorld implements World {
  readonly #addon: MpiAddon
  readonly #backend: KernelBackend
  #bucket: tf.Tensor[] = []
  #inBucket = 0
  #lastTicket = 0
  #isFailed = false

  constructor(
    addon: MpiAddon,
    readonly rank: number,
    readonly size: number,
    backend: KernelBackend,
  ) {
    this.#addon = addon
    this.#backend = backend
    // MPI takes a process that ends without leaving for a failed one, and ends the job.
    process.once('exit', code => {
      if (!this.#isFailed && (code === 0 || code === interrupted)) addon.mpi_leave()
    })
  }

  sum(values: readonly number[]): number[] {
    const sums = Float64Array.from(values)
    this.#addon.mpi_sum_doubles(sums)
    return [...sums]
  }

  startSum(given: tf.Tensor): tf.Tensor {
    const tensor = this.#unshared(given)
    this.#bucket.push(tensor)
    this.#inBucket += tensor.size
    if (this.#inBucket >= bucketSize) this.#flush()
    return tensor
  }

  /** The tensor, or a copy where others see the same memory. */
  #unshared(tensor: tf.Tensor): tf.Tensor {
    if (this.#backend.refCount(tensor.dataId) === 1) return tensor
    const copy = tf.mul(tensor, 1)
    tensor.dispose()
    return copy
  }

  #flush(): void {
    if (this.#bucket.length > 0) this.#send(this.#bucket.map(this.#backend.address), this.#bucket, -1)
    this.#bucket = []
    this.#inBucket = 0
  }

  startBroadcast(variables: readonly tf.Variable[], root: number): void {
    const addresses = variables.map(variable => addressToWrite(this.#backend, variable))
    if (variables.length > 0) this.#send(addresses, variables, root)
  }

  #send(addresses: number[], tensors: readonly tf.Tensor[], root: number): void {
    const counts = Float64Array.from(tensors, ({ size }) => size)
    this.#lastTicket = this.#addon.mpi_send(Float64Array.from(addresses), counts, root)
  }

  wait(): void {
    this.#flush()
    this.#addon.mpi_wait(this.#lastTicket)
  }

  times(): { communicating: number; waiting: number } {
    return this.#addon.mpi_times()
  }

  fail(): void {
    this.#isFailed = true
  }
}

/** The exit code after Ctrl-C, when all processes end together. */
const interrupted = 130
