import { HeedError, type HeedErrorCode } from './errors.ts'
import { shown } from './files/strict-json.ts'
import { nearestName } from './nearest-name.ts'

/** More names than these are not listed in a message. */
const mostListed = 20

/**
 * Throws `code` unless `options` is an object with options of these names alone: one of another name would be passed over. Those
 * that are undefined count as not given.
 */
export function checkOptionNames(
  where: string,
  options: unknown,
  known: readonly string[],
  code: HeedErrorCode = 'HEED_ARGUMENT_INVALID',
): void {
  if (typeof options !== 'object' || options === null) {
    const names = known.length > mostListed ? 'options by their names' : known.join(', ')
    throw new HeedError(
      code,
      `${where}: the options are ${shown(options)}, expected an object with ${names}. Give each by its name: { ${known[0]}: ... }.`,
    )
  }
  const unknown = Object.entries(options).find(([name, value]) => value !== undefined && !known.includes(name))
  if (!unknown) return
  const [name] = unknown
  const expected = nearestName(name, known) ?? oneOf(known)
  throw new HeedError(code, `${where}: ${name} is not an option, expected ${expected}. Rename it or leave it out.`)
}

function oneOf(known: readonly string[]): string {
  if (known.length > mostListed) return "a name of HF's in camelCase"
  return known.length > 1 ? `one of ${known.join(', ')}` : `${known[0]}`
}
