import { InvalidArgumentError } from 'commander'

/** Reads a whole number of at least `least` and at most `most`, for commander; the message says what was expected. */
export function wholeNumber(least: number, most: number = Infinity): (text: string) => number {
  return text => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least || value > most) {
      const isBounded = most !== Infinity || value > Number.MAX_SAFE_INTEGER
      const expected = isBounded
        ? `from ${least} to ${Math.min(most, Number.MAX_SAFE_INTEGER)}`
        : `of at least ${least}`
      throw new InvalidArgumentError(`Expected a whole number ${expected}.`)
    }
    return value
  }
}

/** Reads a number from `least` to `most`, for commander. */
export function numberBetween(least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (text.trim() === '' || !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`Expected a number from ${least} to ${most}.`)
    }
    return value
  }
}

/** Reads a JSON object, for commander. */
export function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {} // said below
  throw new InvalidArgumentError('Expected a JSON object such as {"minLrRate": 0.1}.')
}

/** Collects the values of an option that may be given again, for commander. */
export function repeated(value: string, values: readonly string[] = []): string[] {
  return [...values, value]
}
