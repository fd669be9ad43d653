import type { KernelBackend } from '../backends/kernel-backend.ts'
import type { CallProgram, KernelCall, KernelLibrary, Kernels } from '../backends/library.ts'
import { tf } from '../tf.ts'
import { isRecording } from './fused.ts'
import { inPlaceBackend, trimMemorySoon } from './in-place.ts'

/** A computation that is made again and again, such as that of the next token. */
export interface Step {
  /** What changes from one step to the next; JavaScript may check these but computes nothing from them. */
  inputs: readonly tf.Tensor[]
  /** Counts on by one or more from step to step. */
  position: number
  /** Variables and weights that the computation reads or writes where they lie. */
  state: () => readonly tf.Tensor[]
  /** The computation: a function of the above alone. */
  compute: () => tf.Tensor
}

/** A call of a kernel; `inputs` are the places of arguments that are addresses of the step's inputs. */
interface Call extends KernelCall {
  inputs: { at: number; input: number }[]
}

/** What one run of a step did. */
interface Recording {
  position: number
  calls: Call[]
  /** Blocks of the step that JavaScript wrote before a kernel saw them, with what is in them at the end. */
  written: Map<number, Uint8Array>
}

/** Calls to make again, and which of their numbers follow the inputs and the position. */
interface Program {
  calls: CallProgram
  inputs: { at: number; input: number }[]
  counting: { at: number; offset: number }[]
  result: { shape: number[]; address: number }
  numInputs: number
  state: { tensor: tf.Tensor; dataId: object; location: number }[]
}

/**
 * Makes a step without tfjs: two runs of it are recorded, and when they differ only as the inputs and the position do, further
 * steps are the kernel calls alone. A step that computes in JavaScript from what kernels made never becomes a program, nor
 * does one on a backend without addresses; such steps run as they are. To be disposed: it holds the memory of one step.
 */
export class StepProgram {
  #backend: KernelBackend | undefined
  #blocks: { address: number; bytes: number }[] = []
  #first: Recording | undefined
  #program: Program | undefined
  #isImpossible = false

  /** The result of a step, and whether it came without a call of `compute`. */
  run(step: Step): { result: tf.Tensor; isReplayed: boolean } {
    const backend = inPlaceBackend()
    if (!backend || isRecording()) return { result: step.compute(), isReplayed: false }
    if (backend !== this.#backend || (this.#program && !fits(this.#program, step, backend))) this.reset()
    this.#backend = backend
    if (this.#program) return { result: this.#replay(backend, this.#program, step), isReplayed: true }
    return { result: this.#isImpossible ? step.compute() : this.#record(backend, step), isReplayed: false }
  }

  /** Forgets what was recorded. */
  reset(): void {
    for (const { address } of this.#blocks) this.#backend!.library.release(address)
    this.#blocks = []
    this.#first = undefined
    this.#program = undefined
    this.#isImpossible = false
  }

  dispose(): void {
    this.reset()
  }

  #record(backend: KernelBackend, { inputs, position, state, compute }: Step): tf.Tensor {
    const { library } = backend
    const plain = { ...library }
    const addresses = inputs.map(backend.address)
    const recording: Recording = { position, calls: [], written: new Map() }
    try {
      Object.assign(library, this.#recordingLibrary(plain, recording, addresses))
      const made = tf.tidy(compute)
      const [shape, address] = [made.shape, backend.address(made)]
      made.dispose()
      Object.assign(library, plain)
      this.#readWritten(recording, plain)
      const result = copyOf(backend, shape, address)
      if (this.#isImpossible) {
        this.#giveUp()
      } else if (this.#first && this.#first.position !== position) {
        this.#link(this.#first, recording, { shape, address }, inputs.length, state())
      } else {
        this.#first = recording
      }
      return result
    } catch (error) {
      Object.assign(library, plain)
      this.reset()
      throw error
    }
  }

  /** A library that takes note of what is done with it, and keeps the step's blocks. */
  #recordingLibrary(plain: KernelLibrary, recording: Recording, inputs: readonly number[]): Partial<KernelLibrary> {
    let count = 0
    return {
      kernels: recordingKernels(plain.kernels, recording.calls, inputs),
      allocate: bytes => this.#block(count++, bytes, plain),
      release: address => {
        if (!this.#blocks.some(block => block.address === address)) plain.release(address)
      },
      view: (address, bytes) => {
        if (!inputs.includes(address)) this.#note(address, recording)
        return plain.view(address, bytes)
      },
    }
  }

  /** The block for the step's allocation number `i`: the same in every step, and never reused within one. */
  #block(i: number, bytes: number, library: KernelLibrary): number {
    const block = this.#blocks[i]
    if (block?.bytes === bytes) return block.address
    const address = library.allocate(bytes)
    if (address === 0) return 0
    if (block) this.#isImpossible = true
    this.#blocks.push({ address, bytes })
    return address
  }

  /** JavaScript looks at a block: to fill it, or to read what a kernel made, which may be something else in the next step. */
  #note(address: number, { calls, written }: Recording): void {
    const isOwn = this.#blocks.some(block => block.address === address)
    if (!isOwn || calls.some(({ args }) => args.includes(address))) this.#isImpossible = true
    else written.set(address, new Uint8Array())
  }

  #readWritten({ written }: Recording, library: KernelLibrary): void {
    for (const { address, bytes } of this.#blocks) {
      if (!written.has(address)) continue
      const { buffer, byteOffset } = library.view(address, bytes)
      written.set(address, new Uint8Array(buffer, byteOffset, bytes).slice())
    }
  }

  #link(
    first: Recording,
    second: Recording,
    result: Program['result'],
    numInputs: number,
    state: readonly tf.Tensor[],
  ): void {
    const counting = countingArguments(first, second)
    if (!counting) {
      this.#giveUp()
      return
    }
    const calls = this.#backend!.library.program(second.calls)
    const inputs = second.calls.flatMap((call, i) =>
      call.inputs.map(({ at, input }) => ({ at: calls.starts[i]! + at, input })),
    )
    this.#program = {
      calls,
      inputs,
      counting: counting.map(({ call, at, offset }) => ({ at: calls.starts[call]! + at, offset })),
      result,
      numInputs,
      state: state.map(tensor => ({ tensor, dataId: tensor.dataId, location: this.#backend!.location(tensor) })),
    }
    trimMemorySoon() // from now on nothing asks for the memory that a prompt took
  }

  #giveUp(): void {
    this.reset()
    this.#isImpossible = true
  }

  #replay(
    backend: KernelBackend,
    { calls, counting, result, ...program }: Program,
    { inputs, position }: Step,
  ): tf.Tensor {
    const addresses = inputs.map(backend.address)
    for (const { at, offset } of counting) calls.numbers[at] = offset + position
    for (const { at, input } of program.inputs) calls.numbers[at] = addresses[input]!
    calls.run()
    return copyOf(backend, result.shape, result.address)
  }
}

/** Kernels that take note of their calls. */
function recordingKernels(kernels: Kernels, calls: Call[], inputs: readonly number[]): Kernels {
  type Kernel = (...args: number[]) => void
  const recording = Object.entries(kernels as unknown as Record<keyof Kernels, Kernel>).map(
    ([name, kernel]): [string, Kernel] => [
      name,
      (...args) => {
        const places = args.flatMap((arg, at) => (inputs.includes(arg) ? [{ at, input: inputs.indexOf(arg) }] : []))
        calls.push({ kernel: name as keyof Kernels, args, inputs: places })
        kernel(...args)
      },
    ],
  )
  return Object.fromEntries(recording) as unknown as Kernels
}

/** Whether all that the calls read besides the inputs lies where it lay. */
function fits({ numInputs, state }: Program, { inputs }: Step, backend: KernelBackend): boolean {
  const isInPlace = ({ tensor, dataId, location }: Program['state'][number]): boolean =>
    !tensor.isDisposed && tensor.dataId === dataId && backend.location(tensor) === location
  return inputs.length === numInputs && state.every(isInPlace)
}

/** The arguments that count with the position, or undefined when two recordings differ in more than the inputs and these. */
function countingArguments(
  first: Recording,
  second: Recording,
): { call: number; at: number; offset: number }[] | undefined {
  if (first.calls.length !== second.calls.length || first.written.size !== second.written.size) return undefined
  for (const [address, bytes] of first.written) {
    const again = second.written.get(address)
    if (!again || bytes.some((byte, i) => byte !== again[i])) return undefined
  }
  const steps = second.position - first.position
  const counting: { call: number; at: number; offset: number }[] = []
  for (const [i, { kernel, args, inputs }] of second.calls.entries()) {
    const before = first.calls[i]!
    if (kernel !== before.kernel || JSON.stringify(inputs) !== JSON.stringify(before.inputs)) return undefined
    for (const [at, arg] of args.entries()) {
      if (arg === before.args[at] || inputs.some(place => place.at === at)) continue
      if (arg - before.args[at]! !== steps) return undefined
      counting.push({ call: i, at, offset: arg - second.position })
    }
  }
  return counting
}

/** A new tensor of the floats that lie at an address. */
function copyOf(backend: KernelBackend, shape: number[], address: number): tf.Tensor {
  const copy = backend.output(shape)
  const size = tf.util.sizeFromShape(shape)
  backend.library.kernels.copy(
    address,
    backend.address(copy),
    4,
    ...[1, 1, 1, 1, size],
    ...[0, 0, 0, 0, 1],
    ...[0, 0, 0, 0, 1],
  )
  return tf.engine().makeTensorFromTensorInfo(copy)
}
