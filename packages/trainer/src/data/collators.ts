import { Random } from '@heed/layers'
import { checkOptionNames, HeedError } from '@heed/tensor-backend'
import { checkNumber, namesOf, show } from '../checks.ts'
import { type Batch, type BatchArray, ignoreIndex } from './batch.ts'
import type { TokenExample } from './packed-tokens.ts'

/** Examples -> one batch. `seed` is the batch's own, from the run's seed and the position in the data. */
export type Collator<T> = (examples: T[], seed: number) => Batch

export interface PaddingOptions {
  /** The id that fills short rows; without one, rows must be equally long. */
  padTokenId?: number
  /** Rows are filled up to a multiple of this. */
  padToMultipleOf?: number
}

const ofPadding = { padTokenId: true, padToMultipleOf: true } as const
const paddingOptions = namesOf<PaddingOptions>(ofPadding)

/** Rows of one batch as a matrix, short ones filled with `fill`. */
function matrix(rows: ArrayLike<number>[], columns: number, fill: number): BatchArray {
  const values = new Int32Array(rows.length * columns).fill(fill)
  for (const [row, source] of rows.entries()) values.set(source, row * columns)
  return { values, shape: [rows.length, columns] }
}

/** What examples may hold beside `inputIds`, with a number for each of these. */
type TokenColumn = 'attentionMask' | 'tokenTypeIds' | 'labels' | 'specialTokensMask' | 'wordIds'

/** Throws HEED_ARGUMENT_INVALID unless there are examples, each with ids and as many numbers in its other columns. */
function checkExamples(
  examples: readonly Partial<Record<TokenColumn | 'inputIds', unknown>>[],
  where: string,
  columns: readonly TokenColumn[],
): void {
  if (examples.length === 0) throw invalid(where, 'examples are []', 'at least one', '')
  for (const [row, example] of examples.entries()) {
    const ids = checkedIds(example?.inputIds, where, `inputIds of example ${row} of the batch`)
    for (const name of columns) {
      const values = example[name] as ArrayLike<number> | undefined
      if (values === undefined || values.length === ids.length) continue
      const found = `${name} of example ${row} of the batch has ${values.length} numbers`
      throw invalid(where, found, `${ids.length} as inputIds`, 'Cut and fill both alike.')
    }
    if (columns.includes('labels') && example.labels !== undefined) {
      checkedIds(example.labels, where, `labels of example ${row} of the batch`)
    }
  }
}

/** Throws HEED_ARGUMENT_INVALID unless they are whole numbers. */
function checkedIds(ids: unknown, where: string, name: string): ArrayLike<number> {
  const isList = typeof ids === 'object' && ids !== null && 'length' in ids
  if (!isList) {
    throw invalid(where, `${name} is ${show(ids)}`, 'a list of ids', 'Tokenize the data set first.')
  }
  const wrong = Array.isArray(ids) ? ids.find(id => !Number.isInteger(id)) : undefined
  if (wrong !== undefined)
    throw invalid(where, `${name} holds ${show(wrong)}`, 'integers', 'Tokenize the data set first.')
  return ids as ArrayLike<number>
}

function invalid(where: string, found: string, expected: string, mend: string): HeedError {
  return new HeedError('HEED_ARGUMENT_INVALID', `${where}: ${found}, expected ${expected}. ${mend}`.trim())
}

/** The length all rows of a batch get. Throws HEED_ARGUMENT_INVALID when rows differ and there is no padding token. */
function paddedLength(
  rows: ArrayLike<number>[],
  where: string,
  { padTokenId, padToMultipleOf = 1 }: PaddingOptions,
): number {
  checkNumber(where, 'padToMultipleOf', padToMultipleOf, { min: 1, isInteger: true })
  const longest = Math.max(1, ...rows.map(row => row.length))
  const length = Math.ceil(longest / padToMultipleOf) * padToMultipleOf
  const short = rows.find(row => row.length !== length)
  if (!short || padTokenId !== undefined) return length
  const found = `an example has ${short.length} tokens`
  throw invalid(where, found, `${length} as the batch has`, 'Set padTokenId to fill short ones.')
}

/** `inputIds`, `tokenTypeIds` where examples have them, and `attentionMask` where something is padding. */
function paddedInputs(
  examples: readonly TokenExample[],
  where: string,
  options: PaddingOptions,
  columns: readonly TokenColumn[] = [],
): { length: number; inputs: Record<string, BatchArray> } {
  checkExamples(examples, where, ['attentionMask', 'tokenTypeIds', ...columns])
  const rows = examples.map(example => example.inputIds)
  const length = paddedLength(rows, where, options)
  const inputs: Record<string, BatchArray> = { inputIds: matrix(rows, length, options.padTokenId ?? 0) }
  if (examples.some(example => example.tokenTypeIds)) {
    const types = examples.map(({ tokenTypeIds, inputIds }) => tokenTypeIds ?? new Uint8Array(inputIds.length))
    inputs.tokenTypeIds = matrix(types, length, 0)
  }
  if (examples.some(example => example.attentionMask || example.inputIds.length < length)) {
    const masks = examples.map(
      ({ attentionMask, inputIds }) => attentionMask ?? new Uint8Array(inputIds.length).fill(1),
    )
    inputs.attentionMask = matrix(masks, length, 0)
  }
  return { length, inputs }
}

/**
 * Each token predicts the next; padding has no label: HF's `DataCollatorForLanguageModeling(mlm=False)`. The collator throws
 * HEED_ARGUMENT_INVALID at examples without ids, and at masks or labels of another length.
 */
export function causalLmCollator(options: PaddingOptions = {}): Collator<TokenExample> {
  checkOptionNames('causalLmCollator', options, paddingOptions)
  return examples => {
    const { length, inputs } = paddedInputs(examples, 'causalLmCollator', options, ['labels'])
    const labels = examples.map(({ labels, inputIds, attentionMask }) => labels ?? visible(inputIds, attentionMask))
    return { inputs: { ...inputs, labels: matrix(labels, length, ignoreIndex) }, labelShift: 1 }
  }
}

/** Ids with -100 where the mask hides them. */
function visible(ids: ArrayLike<number>, mask?: ArrayLike<number>): ArrayLike<number> {
  return mask ? Array.from(ids, (id, i) => (mask[i] === 0 ? ignoreIndex : id)) : ids
}

export interface MaskedLmOptions extends PaddingOptions {
  maskTokenId: number
  vocabSize: number
  /** Part of the tokens that are to be predicted, 0.15 by default. */
  mlmProbability?: number
  /** Never masked, beside what an example's `specialTokensMask` marks: `[CLS]`, `[SEP]`. */
  specialTokenIds?: readonly number[]
  /** Masks all tokens of a word together, by the examples' `wordIds`. */
  isWholeWord?: boolean
}

const maskedLmOptions = namesOf<MaskedLmOptions>({
  ...ofPadding,
  ...{ maskTokenId: true, vocabSize: true, mlmProbability: true, specialTokenIds: true, isWholeWord: true },
})

/** A tokenized text with what masking looks at. */
export interface MaskedLmExample extends TokenExample {
  /** 1 for special tokens. */
  specialTokensMask?: ArrayLike<number>
  /** The word a token belongs to, as `Encoding.wordIds`. */
  wordIds?: readonly (number | null)[]
}

/**
 * Hides tokens to be predicted: 80 in 100 become the mask, 10 a random token, 10 stay; other positions have no label.
 * Devlin et al. 2018 (arXiv:1810.04805), section 3.1; HF's `DataCollatorForLanguageModeling`. Examples that bring labels
 * are taken as they are. Throws HEED_ARGUMENT_INVALID, as the collator does at examples without ids, or, with
 * `isWholeWord`, without `wordIds`.
 */
export function maskedLmCollator(options: MaskedLmOptions): Collator<MaskedLmExample> {
  checkOptionNames('maskedLmCollator', options, maskedLmOptions)
  const { mlmProbability = 0.15, vocabSize, maskTokenId } = options
  checkNumber('maskedLmCollator', 'mlmProbability', mlmProbability, { above: 0, max: 1 })
  checkNumber('maskedLmCollator', 'vocabSize', vocabSize, { min: 1, isInteger: true })
  checkNumber('maskedLmCollator', 'maskTokenId', maskTokenId, { min: 0, below: vocabSize, isInteger: true })
  return (examples, seed) => {
    checkExamples(examples, 'maskedLmCollator', ['attentionMask', 'labels', 'specialTokensMask', 'wordIds'])
    const random = new Random(seed)
    const masked = examples.map(example =>
      example.labels ? example : maskTokens(example, options, mlmProbability, random),
    )
    const { length, inputs } = paddedInputs(masked, 'maskedLmCollator', options)
    const labels = matrix(
      masked.map(({ labels }) => labels!),
      length,
      ignoreIndex,
    )
    return { inputs: { ...inputs, labels }, labelShift: 0 }
  }
}

function maskTokens(
  example: MaskedLmExample,
  { maskTokenId, vocabSize, specialTokenIds = [], isWholeWord }: MaskedLmOptions,
  probability: number,
  random: Random,
): TokenExample {
  const { specialTokensMask, attentionMask, wordIds } = example
  if (isWholeWord && !wordIds) {
    throw invalid('maskedLmCollator', 'wordIds is undefined', 'a word for each token since isWholeWord is true', '')
  }
  const inputIds = Array.from(example.inputIds)
  const labels = new Int32Array(inputIds.length).fill(ignoreIndex)
  let isChosen = false
  for (const [i, id] of inputIds.entries()) {
    const continuesWord = isWholeWord && i > 0 && wordIds?.[i] != null && wordIds[i] === wordIds[i - 1]
    if (!continuesWord) isChosen = random.uniform() < probability
    const isSpecial = specialTokensMask?.[i] === 1 || specialTokenIds.includes(id) || attentionMask?.[i] === 0
    if (!isChosen || isSpecial) continue
    labels[i] = id
    const fate = random.uniform()
    if (fate < 0.8) inputIds[i] = maskTokenId
    else if (fate < 0.9) inputIds[i] = random.uint32() % vocabSize
  }
  return { ...example, inputIds, labels }
}

export interface Seq2SeqOptions extends PaddingOptions {
  padTokenId: number
  /** What the decoder begins with, as in the model's config. */
  decoderStartTokenId: number
}

const seq2SeqOptions = namesOf<Seq2SeqOptions>({ ...ofPadding, decoderStartTokenId: true })

/** A text and what it is to become, as ids. */
export interface Seq2SeqExample extends TokenExample {
  labels: ArrayLike<number>
}

/**
 * Source and target apart; `decoderInputIds` are the labels moved one to the right: HF's `DataCollatorForSeq2Seq`. The
 * collator throws HEED_ARGUMENT_INVALID at examples without ids.
 */
export function seq2SeqCollator(options: Seq2SeqOptions): Collator<Seq2SeqExample> {
  checkOptionNames('seq2SeqCollator', options, seq2SeqOptions)
  const { padTokenId, decoderStartTokenId } = options
  for (const [name, id] of Object.entries({ padTokenId, decoderStartTokenId })) {
    checkNumber('seq2SeqCollator', name, id, { min: 0, isInteger: true })
  }
  return examples => {
    const { inputs } = paddedInputs(examples, 'seq2SeqCollator', options)
    const rows = examples.map(({ labels }, row) =>
      Array.from(checkedIds(labels, 'seq2SeqCollator', `labels of example ${row} of the batch`)),
    )
    const length = paddedLength(rows, 'seq2SeqCollator', options)
    const shifted = rows.map(row => [
      decoderStartTokenId,
      ...row.slice(0, length - 1).map(id => (id === ignoreIndex ? padTokenId : id)),
    ])
    const decoderInputIds = matrix(
      shifted.map(row => row.slice(0, length)),
      length,
      padTokenId,
    )
    return { inputs: { ...inputs, decoderInputIds, labels: matrix(rows, length, ignoreIndex) }, labelShift: 0 }
  }
}

export interface ClassificationExample extends Omit<TokenExample, 'labels'> {
  /** The class, from 0. */
  label: number
}

export interface ClassificationOptions extends PaddingOptions {
  numLabels: number
}

const classificationOptions = namesOf<ClassificationOptions>({ ...ofPadding, numLabels: true })

/** A label for each row: HF's `DataCollatorWithPadding`. Throws HEED_ARGUMENT_INVALID, and so does the collator, or HEED_ID_OUT_OF_RANGE. */
export function classificationCollator(options: ClassificationOptions): Collator<ClassificationExample> {
  checkOptionNames('classificationCollator', options, classificationOptions)
  const { numLabels } = options
  checkNumber('classificationCollator', 'numLabels', numLabels, { min: 1, isInteger: true })
  return examples => {
    const { inputs } = paddedInputs(examples, 'classificationCollator', options)
    for (const { label } of examples) {
      checkNumber(
        'classificationCollator',
        'label',
        label,
        { min: 0, below: numLabels, isInteger: true },
        'HEED_ID_OUT_OF_RANGE',
      )
    }
    const labels = { values: Int32Array.from(examples, example => example.label), shape: [examples.length] }
    return { inputs: { ...inputs, labels }, labelShift: 0 }
  }
}
