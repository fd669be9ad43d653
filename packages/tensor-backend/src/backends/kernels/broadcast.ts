/** Several products of a batch that lie at even steps: from matrix `at` of the result, a and b of the operands. */
export interface BatchRun {
  at: number
  count: number
  a: number
  b: number
  aStep: number
  bStep: number
}

/** How far apart neighbours along each axis of `shape` lie in `operand`, whose shape broadcasts to it: 0 where it has one. */
export function broadcastStrides(shape: number[], operand: number[]): number[] {
  const strides = new Array<number>(shape.length).fill(0)
  let stride = 1
  for (let axis = operand.length - 1; axis >= 0; axis--) {
    if (operand[axis] !== 1) strides[axis + shape.length - operand.length] = stride
    stride *= operand[axis]!
  }
  return strides
}

/** A broadcast batch as runs along its last axis, or as one run where the axes before allow it. */
export function batchSteps(batch: number[], a: number[], b: number[]): BatchRun[] {
  const total = batch.reduce((product, size) => product * size, 1)
  const isWhole = (operand: number[]): boolean => operand.reduce((product, size) => product * size, 1) === total
  const isOne = (operand: number[]): boolean => operand.every(size => size === 1)
  if ((isWhole(a) || isOne(a)) && (isWhole(b) || isOne(b))) {
    return [{ at: 0, count: total, a: 0, b: 0, aStep: isWhole(a) ? 1 : 0, bStep: isWhole(b) ? 1 : 0 }]
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
