import { nearestName } from './nearest-name.ts'

/** What each code means; a code never changes its meaning between versions. */
const codes = {
  HEED_ARGUMENT_INVALID: 'an argument of a call is of the wrong type or outside its range',
  HEED_CONFIG_INVALID: 'a tokenizer file or the parts of a tokenizer break a rule',
  HEED_DEPENDENCY_MISSING: 'an optional package that this feature needs is not installed',
  HEED_FILE_INVALID: 'a file is truncated, lies about itself, or is not of its format',
  HEED_FILE_NOT_FOUND: 'a file or folder that was named does not exist',
  HEED_ID_OUT_OF_RANGE: 'a token id lies outside the vocabulary',
  HEED_IO: 'reading or writing failed in the system: permission, full disk, network',
} as const

export type HeedErrorCode = keyof typeof codes

/** Every code this package throws, with one line on what it means. */
export const heedErrorCodes: Readonly<Record<HeedErrorCode, string>> = codes

/** `code` is the contract; the message reads *where: name is value, expected rule. Mend.* */
export class HeedError extends Error {
  readonly code: HeedErrorCode

  constructor(code: HeedErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'HeedError'
    this.code = code
  }
}

/** The error for an argument of the wrong type or outside its range. */
export function invalidArgument(name: string, value: unknown, expected: string, mend: string): HeedError {
  return new HeedError('HEED_ARGUMENT_INVALID', `${name} is ${shown(value)}, expected ${expected}. ${mend}`)
}

/**
 * Refuses options that are no object, and names that would be passed over, in the words of `checkOptionNames` of
 * `@heed/tensor-backend`, which this package does without. Throws HEED_ARGUMENT_INVALID.
 */
export function checkOptions(where: string, options: object, known: Readonly<Record<string, true>>): void {
  const names = Object.keys(known)
  const refuse = (found: string, expected: string): HeedError =>
    new HeedError('HEED_ARGUMENT_INVALID', `${where}: ${found}, expected ${expected}`)
  if (typeof options !== 'object' || options === null) {
    throw refuse(
      `the options are ${shown(options)}`,
      `an object with ${names.join(', ')}. Give each by its name: { ${names[0]}: ... }.`,
    )
  }
  for (const name in options) {
    if (Object.hasOwn(known, name) || (options as Record<string, unknown>)[name] === undefined) continue
    const expected = nearestName(name, names) ?? `one of ${names.join(', ')}`
    throw refuse(`${name} is not an option`, `${expected}. Rename it or leave it out.`)
  }
}

/** A value as messages show it. */
export function shown(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number' || value === undefined) return String(value)
  const text = JSON.stringify(value) ?? `a ${typeof value}`
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}
