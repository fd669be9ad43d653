import { HeedError, type HeedErrorCode } from '@heed/tensor-backend'

/** How a value is shown in a message: strings quoted, long lists cut. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`
  if (typeof value === 'number' || typeof value === 'bigint' || value === undefined || value === null) return `${value}`
  if (typeof value === 'function') return 'a function'
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

export interface NumberRule {
  min?: number
  above?: number
  max?: number
  below?: number
  isInteger?: boolean
}

/** The rule in words: `an integer at least 1`. */
export function describeNumber({ min, above, max, below, isInteger = false }: NumberRule): string {
  const bounds = [
    min === undefined ? '' : `at least ${min}`,
    above === undefined ? '' : `above ${above}`,
    max === undefined ? '' : `at most ${max}`,
    below === undefined ? '' : `below ${below}`,
  ].filter(bound => bound !== '')
  return [isInteger ? 'an integer' : 'a finite number', bounds.join(' and ')].join(' ').trim()
}

/** Throws `code` unless `value` is a finite number that keeps the rule; `mend` ends the message. */
export function checkNumber(
  where: string,
  name: string,
  value: unknown,
  rule: NumberRule,
  code: HeedErrorCode = 'HEED_ARGUMENT_INVALID',
  mend = '',
): void {
  const { min, above, max, below, isInteger = false } = rule
  const isRight =
    typeof value === 'number' &&
    (isInteger ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
    (min === undefined || value >= min) &&
    (above === undefined || value > above) &&
    (max === undefined || value <= max) &&
    (below === undefined || value < below)
  if (isRight) return
  throw new HeedError(code, `${where}: ${name} is ${show(value)}, expected ${describeNumber(rule)}. ${mend}`.trim())
}

/** Throws HEED_ID_OUT_OF_RANGE unless `index` is one of `length` places. */
export function checkIndex(where: string, index: unknown, length: number): void {
  checkNumber(where, 'index', index, { min: 0, below: length, isInteger: true }, 'HEED_ID_OUT_OF_RANGE')
}

/** Throws HEED_ARGUMENT_INVALID unless `count` is a number of rows. */
export function checkCount(where: string, count: unknown): void {
  checkNumber(where, 'count', count, { min: 0, isInteger: true })
}

/** Throws `code` unless `value` is one of `choices`; `mend` ends the message. */
export function checkChoice(
  where: string,
  name: string,
  value: unknown,
  choices: readonly string[],
  code: HeedErrorCode = 'HEED_ARGUMENT_INVALID',
  mend = '',
): void {
  if (typeof value === 'string' && choices.includes(value)) return
  throw new HeedError(
    code,
    `${where}: ${name} is ${show(value)}, expected one of ${choices.join(', ')}. ${mend}`.trim(),
  )
}

/** The names of all options of a kind; the compiler compares them with its interface. */
export const namesOf = <Options>(names: Readonly<Record<keyof Options, true>>): readonly string[] => Object.keys(names)

/** Throws HEED_ARGUMENT_INVALID unless `seed` is an integer. */
export function checkSeed(where: string, seed: unknown): void {
  checkNumber(where, 'seed', seed, { isInteger: true })
}
