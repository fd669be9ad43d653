import { HeedError, type HubOptions, ifFound, isHeedError } from '@heed/tensor-backend'
import { Tokenizer } from '@heed/tokenizer'
import { resolveModel } from '#hub'
import { openAdapter, withBase } from './adapter.ts'
import { openInFormat } from './checkpoint-format.ts'

/**
 * The tokenizer of a model's folder, hub id or GGUF file; an adapter that comes without one has that of its base. Throws as
 * `Tokenizer.fromPretrained`.
 */
export function loadTokenizer(location: string, options: HubOptions = {}): Promise<Tokenizer> {
  return loadBelow(location, options, [])
}

/** `above` are the adapters for which this is loaded. */
async function loadBelow(location: string, options: HubOptions, above: readonly string[]): Promise<Tokenizer> {
  const folder = await resolveModel(location, options)
  try {
    return await Tokenizer.fromPretrained(folder)
  } catch (error) {
    if (!isHeedError(error) || error.code !== 'HEED_FILE_NOT_FOUND') throw error
    const adapter = await ifFound(() => openAdapter(folder))
    if (!adapter) throw (await isModelInOneFile(folder)) ? comesWithout(location, error) : error
    return withBase(adapter, { folder, options, above }, loadBelow)
  }
}

async function isModelInOneFile(location: string): Promise<boolean> {
  return /\.\w+$/.test(location) && (await ifFound(() => openInFormat(location, {}))) !== undefined
}

function comesWithout(location: string, cause: unknown): HeedError {
  return new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${location}: this model comes without a tokenizer, expected a folder with both. ` +
      `Make it, and load that: heed convert ${location} <folder> --tokenizer <path>.`,
    { cause },
  )
}
