import { HeedError, shown, tf } from '@heed/tensor-backend'

/** Token ids, or a mask, or positions: an int32 tensor [batch, seqLen], or a row of numbers for each sequence. */
export type TokenIds = tf.Tensor | readonly (readonly number[])[]

/** Ids in row-major order, with their shape. */
export interface FlatIds {
  values: Int32Array
  batch: number
  seqLen: number
}

interface IdRule {
  /** Ids from here on do not exist. */
  below: number
  /** What sets that bound, as in `vocabSize`. */
  boundName: string
  /** One more id that is allowed: the label that does not count. */
  ignoreIndex?: number
}

/** Reads ids of either form. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID. */
export function flattenIds(where: string, name: string, ids: TokenIds): FlatIds {
  if (ids instanceof tf.Tensor) return flattenTensor(where, name, ids)
  if (!Array.isArray(ids) || ids.some(row => !isRow(row))) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${where}: ${name} is ${shown(ids)}, expected a list of rows of numbers, [[...]], or an int32 tensor [batch, seqLen]. ` +
        'Give one sequence as a list of one row, text as the ids that a tokenizer gives.',
    )
  }
  const [batch, seqLen] = [ids.length, ids[0]?.length ?? 0]
  if (batch === 0 || seqLen === 0) throw empty(where, name, [batch, seqLen])
  const values = new Int32Array(batch * seqLen)
  for (const [i, row] of ids.entries()) {
    if (row.length !== seqLen) {
      throw new HeedError(
        'HEED_SHAPE_MISMATCH',
        `${where}: ${name}[${i}] has ${row.length} elements, expected ${seqLen} as in the first row. Pad the rows to one length.`,
      )
    }
    for (const [j, id] of row.entries()) {
      if (!Number.isInteger(id)) {
        throw new HeedError(
          'HEED_ARGUMENT_INVALID',
          `${where}: ${name}[${i}][${j}] is ${shown(id)}, expected a whole number. Encode the text with a tokenizer.`,
        )
      }
      values[i * seqLen + j] = id
    }
  }
  return { values, batch, seqLen }
}

/** Lists, and typed arrays as tokenizers and data sets have them. */
function isRow(row: unknown): boolean {
  return Array.isArray(row) || (ArrayBuffer.isView(row) && !(row instanceof DataView))
}

function flattenTensor(where: string, name: string, ids: tf.Tensor): FlatIds {
  if (ids.rank !== 2) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `${where}: ${name} has shape [${ids.shape.join(', ')}], expected 2 axes [batch, seqLen]. Reshape ${name} first.`,
    )
  }
  if (ids.dtype !== 'int32') {
    throw new HeedError(
      'HEED_DTYPE_UNSUPPORTED',
      `${where}: ${name} has dtype ${ids.dtype}, expected int32. Convert it with ${name}.cast('int32').`,
    )
  }
  const [batch, seqLen] = ids.shape as [number, number]
  if (ids.size === 0) throw empty(where, name, [batch, seqLen])
  return { values: ids.dataSync<'int32'>(), batch, seqLen }
}

function empty(where: string, name: string, shape: number[]): HeedError {
  return new HeedError(
    'HEED_SHAPE_MISMATCH',
    `${where}: ${name} has shape [${shape.join(', ')}], expected at least one sequence of at least one token.`,
  )
}

/** Throws HEED_ID_OUT_OF_RANGE at the first id that does not exist. */
export function checkIds(
  where: string,
  name: string,
  { values, seqLen }: FlatIds,
  { below, boundName, ignoreIndex }: IdRule,
): void {
  const at = values.findIndex(id => (id < 0 || id >= below) && id !== ignoreIndex)
  if (at < 0) return
  const or = ignoreIndex === undefined ? '' : ` or ${ignoreIndex}`
  throw new HeedError(
    'HEED_ID_OUT_OF_RANGE',
    `${where}: ${name}[${Math.floor(at / seqLen)}][${at % seqLen}] is ${values[at]}, expected 0 to ${below - 1}${or} ` +
      `(${boundName} is ${below}). Check that the tokenizer and the model belong together.`,
  )
}

/** Throws HEED_SHAPE_MISMATCH unless the ids have this shape. */
export function checkIdShape(where: string, name: string, { batch, seqLen }: FlatIds, shape: [number, number]): void {
  if (batch === shape[0] && seqLen === shape[1]) return
  throw new HeedError(
    'HEED_SHAPE_MISMATCH',
    `${where}: ${name} has shape [${batch}, ${seqLen}], expected [${shape.join(', ')}].`,
  )
}

/** Labels of these classes for each position, -100 where none counts. Throws as `flattenIds`, `checkIdShape` and `checkIds`. */
export function readLabels(
  where: string,
  labels: TokenIds,
  shape: [number, number],
  rule: { below: number; boundName: string },
): FlatIds {
  const ids = flattenIds(where, 'labels', labels)
  checkIdShape(where, 'labels', ids, shape)
  checkIds(where, 'labels', ids, { ...rule, ignoreIndex: IGNORE_INDEX })
  return ids
}

/** int32 [batch, seqLen] on the current backend. */
export function idTensor({ values, batch, seqLen }: FlatIds): tf.Tensor2D {
  return tf.tensor2d(values, [batch, seqLen], 'int32')
}

/** A row of numbers for each sequence. */
export function idRows({ values, batch, seqLen }: FlatIds): number[][] {
  return Array.from({ length: batch }, (_, i) => [...values.subarray(i * seqLen, (i + 1) * seqLen)])
}

/** Each label moves one place to the left, where the logits that predict it are; the last place does not count. */
export function shiftedLabels({ values, batch, seqLen }: FlatIds): FlatIds {
  const shifted = new Int32Array(values.length).fill(IGNORE_INDEX)
  for (let i = 0; i < batch; i++) shifted.set(values.subarray(i * seqLen + 1, (i + 1) * seqLen), i * seqLen)
  return { values: shifted, batch, seqLen }
}

/** A label of this value does not count, as in PyTorch and HF. */
export const IGNORE_INDEX: number = -100
