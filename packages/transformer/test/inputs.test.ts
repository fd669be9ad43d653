import { type HeedErrorCode, isHeedError, tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'
import { checkIdShape, checkIds, flattenIds, idRows, shiftedLabels, type TokenIds } from '../src/inputs.ts'

beforeAll(() => tf.setBackend('cpu'))

function failureOf(run: () => unknown): [HeedErrorCode, string] {
  try {
    run()
  } catch (error) {
    if (isHeedError(error)) return [error.code, error.message]
  }
  throw new Error('expected a HeedError')
}

test('nested arrays and tensors of the same ids are read alike', () => {
  const rows = [
    [1, 2, 3],
    [4, 5, 6],
  ]
  const tensor = tf.tensor2d(rows, [2, 3], 'int32')
  expect(flattenIds('m', 'inputIds', tensor)).toEqual(flattenIds('m', 'inputIds', rows))
  expect(idRows(flattenIds('m', 'inputIds', tensor))).toEqual(rows)
  tensor.dispose()
})

test('labels move one place to the left and the last does not count', () => {
  expect(
    idRows(
      shiftedLabels(
        flattenIds('m', 'labels', [
          [5, 6, 7],
          [8, -100, 9],
        ]),
      ),
    ),
  ).toEqual([
    [6, 7, -100],
    [-100, 9, -100],
  ])
})

test.each<[TokenIds, HeedErrorCode, string]>([
  [
    [[1, 2], [3]],
    'HEED_SHAPE_MISMATCH',
    'm: inputIds[1] has 1 elements, expected 2 as in the first row. Pad the rows to one length.',
  ],
  [
    [[1, 2.5]],
    'HEED_ARGUMENT_INVALID',
    'm: inputIds[0][1] is 2.5, expected a whole number. Encode the text with a tokenizer.',
  ],
  ...(
    [
      [undefined, 'undefined'],
      ['hello', '"hello"'],
      [[1, 2], '[1,2]'],
      [['hello'], '["hello"]'],
    ] as [never, string][]
  ).map(([ids, shown]): [TokenIds, HeedErrorCode, string] => [
    ids,
    'HEED_ARGUMENT_INVALID',
    `m: inputIds is ${shown}, expected a list of rows of numbers, [[...]], or an int32 tensor [batch, seqLen]. ` +
      'Give one sequence as a list of one row, text as the ids that a tokenizer gives.',
  ]),
  [
    [['1']] as never,
    'HEED_ARGUMENT_INVALID',
    'm: inputIds[0][0] is "1", expected a whole number. Encode the text with a tokenizer.',
  ],
  [[], 'HEED_SHAPE_MISMATCH', 'm: inputIds has shape [0, 0], expected at least one sequence of at least one token.'],
  [[[]], 'HEED_SHAPE_MISMATCH', 'm: inputIds has shape [1, 0], expected at least one sequence of at least one token.'],
])('%j is refused', (ids, code, message) => {
  expect(failureOf(() => flattenIds('m', 'inputIds', ids))).toEqual([code, message])
})

test('a tensor of another rank or dtype is refused', () => {
  expect(failureOf(() => flattenIds('m', 'inputIds', tf.tensor1d([1], 'int32')))).toEqual([
    'HEED_SHAPE_MISMATCH',
    'm: inputIds has shape [1], expected 2 axes [batch, seqLen]. Reshape inputIds first.',
  ])
  expect(failureOf(() => flattenIds('m', 'inputIds', tf.ones([1, 1])))).toEqual([
    'HEED_DTYPE_UNSUPPORTED',
    "m: inputIds has dtype float32, expected int32. Convert it with inputIds.cast('int32').",
  ])
})

test('an id beyond its table is named with its place', () => {
  const ids = flattenIds('m', 'labels', [
    [0, -100],
    [9, 10],
  ])
  expect(
    failureOf(() => checkIds('m', 'labels', ids, { below: 10, boundName: 'vocabSize', ignoreIndex: -100 })),
  ).toEqual([
    'HEED_ID_OUT_OF_RANGE',
    'm: labels[1][1] is 10, expected 0 to 9 or -100 (vocabSize is 10). Check that the tokenizer and the model belong together.',
  ])
  expect(failureOf(() => checkIdShape('m', 'labels', ids, [2, 3]))).toEqual([
    'HEED_SHAPE_MISMATCH',
    'm: labels has shape [2, 2], expected [2, 3].',
  ])
})
