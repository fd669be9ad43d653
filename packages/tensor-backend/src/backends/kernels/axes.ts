import { tf } from '../../tf.ts'
import type { Axes } from '../library.ts'

/** How far apart neighbours along each axis of `shape` lie in an operand whose shape broadcasts to it: 0 where it has one. */
export function broadcastStrides(shape: number[], operand: number[]): number[] {
  const strides = new Array<number>(shape.length).fill(0)
  let stride = 1
  for (let axis = operand.length - 1; axis >= 0; axis--) {
    if (operand[axis] !== 1) strides[axis + shape.length - operand.length] = stride
    stride *= operand[axis]!
  }
  return strides
}

/** How far apart neighbours along each axis of a contiguous array lie. */
export function contiguousStrides(shape: number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride
    stride *= shape[axis]!
  }
  return strides
}

/** A shape as the five axes of the kernels, with the strides of two arrays over it. */
export interface JoinedAxes {
  sizes: Axes
  a: Axes
  b: Axes
}

/** Joins neighbouring axes that both arrays walk as one; undefined when more than five are left. No size is 0. */
export function joinAxes(shape: number[], aStrides: number[], bStrides: number[]): JoinedAxes | undefined {
  // From the last axis, which becomes the last of the five.
  const sizes: Axes = [1, 1, 1, 1, 1]
  const a: Axes = [0, 0, 0, 0, 0]
  const b: Axes = [0, 0, 0, 0, 0]
  let at = 5
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!
    if (size === 1) continue
    const isJoined = at < 5 && aStrides[axis] === a[at]! * sizes[at]! && bStrides[axis] === b[at]! * sizes[at]!
    if (isJoined) {
      sizes[at] = sizes[at]! * size
      continue
    }
    if (at === 0) return undefined
    at--
    sizes[at] = size
    a[at] = aStrides[axis]!
    b[at] = bStrides[axis]!
  }
  return { sizes, a, b }
}

/** Several products of a batch that lie at even steps: from matrix `at` of the result, a and b of the operands. */
export interface BatchRun {
  at: number
  count: number
  a: number
  b: number
  aStep: number
  bStep: number
}

/** A broadcast batch as runs along its last axis, or as one run where the axes before allow it. */
export function batchRuns(batch: number[], a: number[], b: number[]): BatchRun[] {
  const total = tf.util.sizeFromShape(batch)
  const [aSize, bSize] = [tf.util.sizeFromShape(a), tf.util.sizeFromShape(b)]
  if ((aSize === total || aSize === 1) && (bSize === total || bSize === 1)) {
    return [{ at: 0, count: total, a: 0, b: 0, aStep: aSize === total ? 1 : 0, bStep: bSize === total ? 1 : 0 }]
  }
  const aStrides = broadcastStrides(batch, a)
  const bStrides = broadcastStrides(batch, b)
  const count = batch.at(-1)!
  const runs: BatchRun[] = []
  for (let at = 0; at < total; at += count) {
    let [rest, aAt, bAt] = [at / count, 0, 0]
    for (let axis = batch.length - 2; axis >= 0; axis--) {
      const index = rest % batch[axis]!
      rest = (rest - index) / batch[axis]!
      aAt += index * aStrides[axis]!
      bAt += index * bStrides[axis]!
    }
    runs.push({ at, count, a: aAt, b: bAt, aStep: aStrides.at(-1)!, bStep: bStrides.at(-1)! })
  }
  return runs
}

/** The product of all sizes before and after an axis. */
export function sizesAround(shape: number[], axis: number): [before: number, after: number] {
  return [tf.util.sizeFromShape(shape.slice(0, axis)), tf.util.sizeFromShape(shape.slice(axis + 1))]
}
