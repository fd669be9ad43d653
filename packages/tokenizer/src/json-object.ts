import { HeedError, shown } from './errors.ts'

/** One object of a file, read key by key; each wrong value is an error that names the place. */
export class JsonObject {
  private constructor(
    private readonly values: Readonly<Record<string, unknown>>,
    /** Where the object stands, as `tokenizer.json: model`. */
    readonly where: string,
  ) {}

  /** Throws HEED_CONFIG_INVALID if `value` is no object. */
  static of(value: unknown, where: string): JsonObject {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return new JsonObject(value as Record<string, unknown>, where)
    }
    throw new HeedError('HEED_CONFIG_INVALID', `${where}: it is ${show(value)}, expected an object. Correct the file.`)
  }

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null
  }

  get(key: string): unknown {
    return this.values[key]
  }

  string(key: string, fallback?: string): string {
    return this.read(key, 'a string', fallback, value => typeof value === 'string')
  }

  optionalString(key: string): string | null {
    return this.has(key) ? this.string(key) : null
  }

  boolean(key: string, fallback?: boolean): boolean {
    return this.read(key, 'true or false', fallback, value => typeof value === 'boolean')
  }

  number(key: string, fallback?: number): number {
    return this.read(key, 'a number', fallback, value => typeof value === 'number')
  }

  /** An integer from 0 on. */
  count(key: string, fallback?: number): number {
    const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
    return this.read(key, 'an integer from 0 on', fallback, isCount)
  }

  choice<T extends string>(key: string, choices: readonly T[], fallback?: T): T {
    const expected = `one of ${choices.join(', ')}`
    return this.read(key, expected, fallback, value => choices.includes(value as T))
  }

  array(key: string, fallback?: readonly unknown[]): readonly unknown[] {
    return this.read(key, 'an array', fallback, value => Array.isArray(value))
  }

  object(key: string): JsonObject {
    return JsonObject.of(this.values[key], `${this.where}.${key}`)
  }

  /** The objects of an array. */
  objects(key: string, fallback?: readonly unknown[]): JsonObject[] {
    return this.array(key, fallback).map((value, i) => JsonObject.of(value, `${this.where}.${key}[${i}]`))
  }

  entries(): [string, unknown][] {
    return Object.entries(this.values)
  }

  /** The error for a key whose value breaks a rule. */
  invalid(key: string, expected: string): HeedError {
    return new HeedError(
      'HEED_CONFIG_INVALID',
      `${this.where}: ${key} is ${show(this.values[key])}, expected ${expected}. Correct the file.`,
    )
  }

  private read<T>(key: string, expected: string, fallback: T | undefined, isValid: (value: unknown) => boolean): T {
    const value = this.values[key]
    if (value === undefined && fallback !== undefined) return fallback
    if (!isValid(value)) throw this.invalid(key, expected)
    return value as T
  }
}

function show(value: unknown): string {
  return value === undefined ? 'missing' : shown(value)
}
