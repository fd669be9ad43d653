import { Module, seedDropout } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import type { Batch } from './data/batch.ts'
import type { TrainableModel } from './model.ts'
import type { NamedParameter } from './optim/optimizer.ts'
import { hash } from './random.ts'
import { withBatch } from './training-step.ts'

/** What a step that went wrong was made of. */
export interface FailedStep {
  model: TrainableModel
  batches: readonly Batch[]
  gradients: ReadonlyMap<string, tf.Tensor>
  labelSmoothing: number
  /** Of the dropout masks of the step. */
  seed: number
}

/** Where a number that is not finite came up. */
export interface BadTensor {
  /** `the output of model.layers.1.mlp`, `the weight lm_head.weight`. */
  name: string
  /** Of the batches of the step, where it depends on one. */
  batch?: number
}

/** Does the step again, and looks where the first NaN or infinity comes up: in the weights, on the way forth, or on the way back. */
export function firstBadTensor({ model, batches, gradients, labelSmoothing, seed }: FailedStep): BadTensor | undefined {
  const parameters: NamedParameter[] = [...model.namedParameters()]
  const weight = parameters.find(([, value]) => !isSound(value))
  if (weight) return { name: `the weight ${weight[0]}` }
  for (const [batch, data] of batches.entries()) {
    if (model instanceof Module) seedDropout(model, hash(seed, batch))
    const name = tf.tidy(() => withBatch(model, data, { labelSmoothing }, compute => firstBadOutput(model, compute)))
    if (name) return { name, batch }
  }
  const names = parameters.map(([name]) => name).filter(name => gradients.has(name))
  const bad = names.findLast(name => !isSound(gradients.get(name)!)) // the last layers have theirs first
  return bad === undefined ? undefined : { name: `the gradient of ${bad}` }
}

/** Does the step again, and finds the batch with the highest loss. */
export function worstBatch({ model, batches, labelSmoothing, seed }: FailedStep): { batch: number; loss: number } {
  const losses = batches.map((data, batch) => {
    if (model instanceof Module) seedDropout(model, hash(seed, batch))
    return tf.tidy(() => withBatch(model, data, { labelSmoothing }, compute => compute().loss.dataSync()[0]!))
  })
  const batch = losses.reduce((worst, loss, i) => (loss > losses[worst]! ? i : worst), 0)
  return { batch, loss: losses[batch]! }
}

/** Runs a forward pass and names the module that first gave something that is not finite. */
function firstBadOutput(model: TrainableModel, compute: () => { loss: tf.Tensor }): string | undefined {
  let found: string | undefined
  const modules = model instanceof Module ? [...model.namedModules()] : []
  const undo: Array<() => void> = []
  for (const [path, module] of modules) {
    const part = module as Module & { forward?(...inputs: unknown[]): unknown }
    const before = part.forward
    if (path === '' || typeof before !== 'function') continue
    const isOwn = Object.hasOwn(part, 'forward')
    part.forward = (...inputs) => {
      const output = before.apply(part, inputs)
      if (found === undefined && output instanceof tf.Tensor && !isSound(output)) found = `the output of ${path}`
      return output
    }
    undo.push(() => {
      if (isOwn) part.forward = before
      else Reflect.deleteProperty(part, 'forward')
    })
  }
  try {
    const { loss } = compute()
    return found ?? (isSound(loss) ? undefined : 'the loss')
  } finally {
    for (const restore of undo) restore()
  }
}

function isSound(tensor: tf.Tensor): boolean {
  return tensor.dtype !== 'float32' || tf.tidy(() => tf.all(tf.isFinite(tensor)).dataSync()[0] === 1)
}
