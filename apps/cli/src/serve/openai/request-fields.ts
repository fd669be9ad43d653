import { RequestError } from '../request-error.ts'

type Fields = Record<string, unknown>

/** Reads the fields of a request's JSON; each that breaks its rule is a RequestError that names it. A null is the same as none. */
export class RequestFields {
  constructor(
    private readonly fields: Fields,
    private readonly path = '',
  ) {}

  /** Throws RequestError unless `value` is an object. */
  static of(value: unknown, name: string): RequestFields {
    if (isObject(value)) return new RequestFields(value, name === '' ? '' : `${name}.`)
    throw invalid(name === '' ? 'the body' : name, value, 'a JSON object')
  }

  /** As they came. */
  get all(): Readonly<Fields> {
    return this.fields
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  get(name: string): unknown {
    return this.fields[name] ?? undefined
  }

  number(name: string, least: number, most: number): number | undefined {
    const rule = `a number from ${least} to ${most}`
    return this.#read(name, rule, value => typeof value === 'number' && value >= least && value <= most)
  }

  integer(name: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const rule =
      most === Number.MAX_SAFE_INTEGER
        ? `a whole number of at least ${least}`
        : `a whole number from ${least} to ${most}`
    const isValid = (value: unknown): boolean =>
      Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
    return this.#read(name, rule, isValid)
  }

  flag(name: string): boolean | undefined {
    return this.#read(name, 'true or false', value => typeof value === 'boolean')
  }

  text(name: string): string | undefined {
    return this.#read(name, 'a text', value => typeof value === 'string')
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const rule = choices.map(choice => JSON.stringify(choice)).join(' or ')
    return this.#read(name, rule, value => choices.includes(value as T))
  }

  list(name: string): readonly unknown[] | undefined {
    return this.#read(name, 'a list', Array.isArray)
  }

  object(name: string): RequestFields | undefined {
    const value = this.get(name)
    return value === undefined ? undefined : RequestFields.of(value, `${this.path}${name}`)
  }

  /** A text or a list of texts, as a list. */
  texts(name: string, most: number): readonly string[] {
    const value = this.get(name)
    const list = value === undefined ? [] : [value].flat()
    if (list.length <= most && list.every(item => typeof item === 'string' && item !== '')) return list as string[]
    throw this.invalid(name, `a text or a list of at most ${most} texts, none of them empty`)
  }

  /** Throws RequestError where a field must be given. */
  required<T>(name: string, value: T | undefined): T {
    if (value !== undefined) return value
    throw this.invalid(name, 'a value', 'Give it.')
  }

  invalid(name: string, rule: string, mend?: string): RequestError {
    return invalid(`${this.path}${name}`, this.get(name), rule, mend)
  }

  #read<T>(name: string, rule: string, isValid: (value: unknown) => boolean): T | undefined {
    const value = this.get(name)
    if (value === undefined || isValid(value)) return value as T | undefined
    throw this.invalid(name, rule)
  }
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a value looks like in a message: long ones are cut. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing'
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function invalid(name: string, value: unknown, rule: string, mend = 'Change it.'): RequestError {
  return new RequestError(400, `${name} is ${shown(value)}, expected ${rule}. ${mend}`, { param: name })
}
