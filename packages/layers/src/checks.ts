import { HeedError, shown } from '@heed/tensor-backend'

/** Throws HEED_ARGUMENT_INVALID unless each of the sizes is a positive integer. */
export function checkSizes(where: string, sizes: Readonly<Record<string, unknown>>): void {
  const wrong = Object.entries(sizes).find(([, value]) => !(Number.isSafeInteger(value) && (value as number) > 0))
  if (!wrong) return
  const [name, value] = wrong
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: ${name} is ${shown(value)}, expected a positive integer. Give it as a number.`,
  )
}
