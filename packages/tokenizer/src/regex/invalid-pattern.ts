import { HeedError } from '../errors.ts'

/** The error for a pattern that breaks a rule. */
export function invalidPattern(pattern: string, problem: string): HeedError {
  const shown = pattern.length > 100 ? `${pattern.slice(0, 100)}...` : pattern
  return new HeedError(
    'HEED_CONFIG_INVALID',
    `Regular expression: the pattern is ${JSON.stringify(shown)}, but ${problem}. Rewrite the pattern.`,
  )
}
