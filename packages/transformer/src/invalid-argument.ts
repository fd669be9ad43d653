import { HeedError } from '@heed/tensor-backend'

/** HEED_ARGUMENT_INVALID of `where`, a function or a task: a value, what was expected of it, and how to mend it. */
export function invalidArgument(where: string, name: string, value: unknown, rule: string, mend: string): HeedError {
  const shown = typeof value === 'number' ? value : (JSON.stringify(value) ?? String(value))
  return new HeedError('HEED_ARGUMENT_INVALID', `${where}: ${name} is ${shown}, expected ${rule}. ${mend}`)
}
