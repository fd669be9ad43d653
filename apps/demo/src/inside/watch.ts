import type { Module } from '@heed/layers'
import { tf } from '@heed/tensor-backend'

/** A tensor taken out of a forward pass. */
export interface Seen {
  shape: number[]
  dtype: string
  values: Float32Array | Int32Array
}

/** One call of one part's `forward`, in the order in which calls ended. */
export interface Call {
  part: number
  input?: Seen
  output?: Seen
  /** Done to the output in the same kernel. */
  activation?: string
}

interface OpenCall extends Omit<Call, 'input' | 'output'> {
  input: tf.Tensor | undefined
  output: tf.Tensor | undefined
}

type Forward = (...inputs: unknown[]) => unknown

/** The tensor of an output: itself, or the scores or last state of a model's output. */
function tensorOf(output: unknown): tf.Tensor | undefined {
  if (output instanceof tf.Tensor) return output
  const { logits, lastHiddenState } = (output ?? {}) as Record<string, unknown>
  return [logits, lastHiddenState].find(value => value instanceof tf.Tensor) as tf.Tensor | undefined
}

/** Keeps what a tensor holds past the scopes of the pass. */
const kept = (tensor: tf.Tensor | undefined): tf.Tensor | undefined => tensor && tf.keep(tensor.clone())

async function read(tensor: tf.Tensor | undefined): Promise<Seen | undefined> {
  if (!tensor) return undefined
  const values = (await tensor.data()).slice() as Float32Array | Int32Array
  tensor.dispose()
  return { shape: [...tensor.shape], dtype: tensor.dtype, values }
}

/** Runs `pass` and gives with its result what went into and came out of each module, and in which order. */
export async function watchForward<T>(
  modules: ReadonlyArray<Module | undefined>,
  pass: () => T,
): Promise<{ result: T; calls: Call[] }> {
  const calls: OpenCall[] = []
  const watched = modules.flatMap((module, part) => {
    const forward = (module as { forward?: Forward } | undefined)?.forward
    if (!module || !forward) return []
    const watching: Forward = (...inputs) => {
      const input = kept(inputs.find(value => value instanceof tf.Tensor) as tf.Tensor | undefined)
      const output = forward.apply(module, inputs)
      const activation = typeof inputs[1] === 'string' && inputs[1] !== 'none' ? { activation: inputs[1] } : {}
      calls.push({ part, input, output: kept(tensorOf(output)), ...activation })
      return output
    }
    Object.assign(module, { forward: watching })
    return [module as { forward?: Forward }]
  })
  let result: T
  try {
    result = pass()
  } catch (error) {
    for (const { input, output } of calls) tf.dispose([input, output].filter(tensor => tensor !== undefined))
    throw error
  } finally {
    for (const module of watched) delete module.forward // the class's own again
  }
  const seen: Call[] = []
  for (const { input, output, ...call } of calls) {
    const [before, after] = [await read(input), await read(output)]
    seen.push({ ...call, ...(before && { input: before }), ...(after && { output: after }) })
  }
  return { result, calls: seen }
}
