import { HeedError, nearestName } from '@heed/tensor-backend'

/** HEED_ARGUMENT_INVALID of `where`, a function or a task: a value, what was expected of it, and how to mend it. */
export function invalidArgument(where: string, name: string, value: unknown, rule: string, mend: string): HeedError {
  const shown = typeof value === 'number' ? value : (JSON.stringify(value) ?? String(value))
  return new HeedError('HEED_ARGUMENT_INVALID', `${where}: ${name} is ${shown}, expected ${rule}. ${mend}`)
}

/** The same of an option that is none of the `known` ones and would be passed over. */
export function unknownOption(where: string, name: string, known: readonly string[]): HeedError {
  const meant = nearestName(name, known)
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: ${name} is not an option${meant ? `, expected ${meant}` : '. Leave it out'}. Names are those of HF in camelCase.`,
  )
}
