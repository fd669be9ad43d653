import { HeedError, nearestName, parseStrictJson, readText } from '@heed/tensor-backend'

/** What a recipe file holds: an object of these `keys`. YAML by its ending, else JSON. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID. */
export async function readRecipeFile(file: string, keys: readonly string[]): Promise<Record<string, unknown>> {
  const text = await readText(file)
  const recipe = /\.ya?ml$/i.test(file) ? await yamlOf(text, file) : parseStrictJson(text, file)
  if (typeof recipe === 'object' && recipe !== null && !Array.isArray(recipe)) return recipe as Record<string, unknown>
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${file}: the recipe is ${JSON.stringify(recipe)}, expected an object with the keys ${keys.join(', ')}. See examples/recipes.`,
  )
}

async function yamlOf(text: string, file: string): Promise<unknown> {
  const { parse } = await import('yaml')
  try {
    return parse(text)
  } catch (cause) {
    const [reason] = (cause as Error).message.split('\n')
    throw new HeedError('HEED_FILE_INVALID', `${file}: the text is not YAML, expected YAML. ${reason}`, { cause })
  }
}

/** Throws HEED_CONFIG_INVALID for the first key that is not `known`, with the known one that was likely meant. */
export function checkKeys(
  file: string,
  path: string,
  given: Readonly<Record<string, unknown>>,
  known: readonly string[],
): void {
  const unknown = Object.keys(given).find(key => !known.includes(key))
  if (unknown === undefined) return
  const meant = nearestName(unknown, known)
  const rule = meant ? `no such key. Write ${path}${meant}.` : `only the keys ${known.join(', ')}. Remove ${unknown}.`
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${file}: ${path}${unknown} is ${JSON.stringify(given[unknown])}, expected ${rule}`,
  )
}
