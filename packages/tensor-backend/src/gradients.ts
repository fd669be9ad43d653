import { HeedError } from './errors.ts'
import { accumulate, isOwn } from './ops/accumulate.ts'
import { checkDtype, checkShape } from './ops/checks.ts'
import { differentiable, type InputGradient, once } from './ops/fused.ts'
import { tf } from './tf.ts'

/**
 * Is given each gradient as soon as it is complete, while those of earlier operations are still being computed, and
 * returns what is to stand in its place, which may be the same tensor.
 */
export type GradientListener = (variable: tf.Variable, gradient: tf.Tensor) => tf.Tensor

/** The value of a scalar function and its gradient for each variable it depends on. */
export interface VariableGradients {
  value: tf.Scalar
  gradients: Map<tf.Variable, tf.Tensor>
}

/** One operation that tfjs recorded: its inputs and outputs by name, what it saved, and its gradient. */
type TapeNode = ReturnType<typeof tf.engine>['state']['activeTape'][number]

/**
 * f() and ∂f/∂v for each trainable one of `variables` that f depends on; the others have no entry. Same numbers as
 * `tf.variableGrads`, in less memory: what an operation saved and the gradients of its outputs are freed as soon as its
 * own gradient is computed, and sums of gradients are formed in place. Tensors of integers and booleans stop the gradient.
 * `onGradient` hears of each gradient as soon as it is complete. The caller disposes of the value and the gradients. An exception, also one of f, leaves no tensor behind.
 * Throws HEED_SHAPE_MISMATCH when f() is no scalar, HEED_ARGUMENT_INVALID when it depends on none of the variables or on
 * an operation without gradient.
 */
export function variableGradients(
  f: () => tf.Scalar,
  variables: tf.Variable[],
  onGradient?: GradientListener,
): VariableGradients {
  const { state } = tf.engine()
  const trainable = variables.filter(variable => variable.trainable)
  // An outer gradient goes through this one, and needs its tape, saved tensors and all.
  if (state.gradientDepth > 0) return recordedGradients(f, trainable, onGradient)
  const gradients = new Map<tf.Variable, tf.Tensor>()
  const [value] = tf.tidy('variableGradients', () => {
    try {
      const result = record(f)
      checkShape('variableGradients', 'f()', result, [])
      const pending = backward(state.activeTape, result, tf.ones([]), trainable, onGradient)
      for (const variable of trainable) {
        const gradient = pending.get(variable.id)
        if (gradient) gradients.set(variable, gradient)
      }
      return [result, ...gradients.values()]
    } finally {
      for (const node of state.activeTape) release(node)
      state.activeTape = []
    }
  })
  return { value: value as tf.Scalar, gradients }
}

function recordedGradients(
  f: () => tf.Scalar,
  variables: tf.Variable[],
  onGradient: GradientListener = (_, gradient) => gradient,
): VariableGradients {
  const { value, grads } = tf.variableGrads(f, variables)
  const found = variables.flatMap(v => (grads[v.name] ? [[v, onGradient(v, grads[v.name]!)] as const] : []))
  return { value, gradients: new Map(found) }
}

/**
 * f() of which only the value is kept: what its operations save for their gradients is computed again when the gradient
 * is asked for, and lives only then. Chen et al. 2016 (arXiv:1604.06174). The gradient is that of `inputs`, the tensors that f
 * uses and may have to give one; all that f uses must live until it is asked for, and f must do the same again.
 */
export function recomputed(f: () => tf.Tensor, inputs: tf.Tensor[]): tf.Tensor {
  return differentiable(
    inputs,
    () => tf.tidy(f), // inside an operation nothing is recorded
    dy => {
      const gradients = once(() => recomputedGradients(f, inputs, dy))
      return inputs.map((_, index) => () => gradients()[index]!)
    },
  )
}

/** The gradients of the inputs by the one of f(), from a tape of their own. */
function recomputedGradients(f: () => tf.Tensor, inputs: tf.Tensor[], dy: tf.Tensor): tf.Tensor[] {
  const { state } = tf.engine()
  const outerTape = state.activeTape
  return tf.tidy(() => {
    try {
      const value = record(f)
      const pending = backward(state.activeTape, value, dy.clone(), inputs)
      return inputs.map(input => pending.get(input.id) ?? tf.zerosLike(input))
    } finally {
      for (const node of state.activeTape) release(node)
      state.activeTape = outerTape
    }
  })
}

/** f(), with its operations on the tape of tfjs's engine. */
function record<T extends tf.Tensor>(f: () => T): T {
  const engine = tf.engine() as unknown as { startTape(): void; endTape(): void }
  engine.startTape()
  try {
    return tf.tidy('forward', f)
  } finally {
    engine.endTape()
  }
}

/** Frees what an operation saved for its gradient. */
function release(node: TapeNode): void {
  if (node.saved) tf.dispose(node.saved)
  node.saved = []
}

/** Ids of the tensors with a gradient by the variables, these included; what other operations saved is freed. */
function findDependents(tape: TapeNode[], variables: tf.Tensor[]): Set<number> {
  const dependents = new Set(variables.map(({ id }) => id))
  for (const node of tape) {
    if (Object.values(node.inputs).some(({ id }) => dependents.has(id))) {
      for (const { id, dtype } of node.outputs) if (dtype === 'float32' || dtype === 'complex64') dependents.add(id)
    } else {
      release(node)
    }
  }
  return dependents
}

/** Walks the tape from its end, where `dy` is the gradient of `value`, and gives the gradients of the variables by id. */
function backward(
  tape: TapeNode[],
  value: tf.Tensor,
  dy: tf.Tensor,
  variables: tf.Tensor[],
  onGradient?: GradientListener,
): Map<number, tf.Tensor> {
  const dependents = findDependents(tape, variables)
  if (!dependents.has(value.id)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `variableGradients: f() depends on 0 of ${variables.length} trainable variables, expected at least 1. ` +
        'Use the variables inside f, with operations of tf.',
    )
  }
  // Each tensor here is ours alone, though it may share its memory.
  const pending = new Map<number, tf.Tensor>([[value.id, dy]])
  const listened = onGradient && new Listened(tape, variables as tf.Variable[], pending, onGradient)
  for (let at = tape.length - 1; at >= 0; at--) {
    const node = tape[at]!
    const dys = node.outputs.map(({ id }) => pending.get(id))
    if (dys.some(dy => dy)) {
      const inputs = Object.entries(node.inputs).filter(([, { id }]) => dependents.has(id))
      const gradients = inputGradients(node, inputs, dys, pending)
      for (const [index, [, { id }]] of inputs.entries()) {
        const gradient = gradients[index]
        const sum = pending.get(id)
        if (gradient) pending.set(id, sum ? accumulate(sum, gradient) : gradient)
      }
      for (const { id } of node.outputs) pending.delete(id)
      for (const dy of dys) dy?.dispose()
    }
    release(node)
    listened?.passed(node)
  }
  return pending
}

/** Tells when the last operation that uses a variable was passed on the way back: its gradient is then complete. */
class Listened {
  readonly #usesLeft = new Map<number, number>()
  readonly #variables: Map<number, tf.Variable>

  constructor(
    tape: TapeNode[],
    variables: tf.Variable[],
    readonly pending: Map<number, tf.Tensor>,
    readonly listener: GradientListener,
  ) {
    this.#variables = new Map(variables.map(variable => [variable.id, variable]))
    for (const node of tape) this.#count(node, 1)
  }

  #count(node: TapeNode, by: 1 | -1): tf.Variable[] {
    const complete: tf.Variable[] = []
    for (const { id } of Object.values(node.inputs)) {
      const variable = this.#variables.get(id)
      if (!variable) continue
      const left = (this.#usesLeft.get(id) ?? 0) + by
      this.#usesLeft.set(id, left)
      if (left === 0) complete.push(variable)
    }
    return complete
  }

  passed(node: TapeNode): void {
    for (const variable of this.#count(node, -1)) {
      const gradient = this.pending.get(variable.id)
      if (gradient) this.pending.set(variable.id, this.listener(variable, gradient))
    }
  }
}

/**
 * The gradients of the named inputs of one operation, from those of its outputs; each a tensor of its own, or none where
 * it was added to the sum that is pending for the input.
 */
function inputGradients(
  node: TapeNode,
  inputs: Array<[name: string, input: tf.Tensor]>,
  dys: Array<tf.Tensor | undefined>,
  pending: Map<number, tf.Tensor>,
): Array<tf.Tensor | undefined> {
  const { kernelName } = node
  if (!node.gradient) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `variableGradients: f uses ${kernelName}, which has no gradient, expected operations that have one. ` +
        'Register one with tf.registerGradient, or wrap the operation in tf.customGrad.',
    )
  }
  return tf.tidy(() => {
    const scope = tf.engine().state.activeScope
    const gradients: Record<string, InputGradient> = node.gradient!(dys as tf.Tensor[]) // a missing dy means zeros
    const taken = new Set<tf.Tensor>()
    return inputs.map(([name, input]) => {
      const sum = pending.get(input.id)
      if (sum && gradients[name]?.addTo && isOwn(sum)) {
        gradients[name].addTo(sum)
        return undefined
      }
      const gradient = gradients[name]?.()
      if (!gradient) {
        throw new HeedError(
          'HEED_ARGUMENT_INVALID',
          `variableGradients: the gradient of ${kernelName} is for inputs ${Object.keys(gradients).join(', ')}, ` +
            `expected one for '${name}' too. Return it from the gradient function.`,
        )
      }
      const where = `variableGradients: the gradient of ${kernelName}`
      checkDtype(where, name, gradient, 'float32')
      checkShape(where, name, gradient, input.shape)
      // Not made here, such as dy itself, or given for two inputs: to be had twice it must be two tensors.
      const isShared = gradient.scopeId !== scope.id || gradient.kept || taken.has(gradient)
      taken.add(gradient)
      return isShared ? gradient.clone() : gradient
    })
  })
}
