import {
  type ByteSourceLike,
  type CheckpointLocation,
  HeedError,
  type HubOptions,
  parseStrictJson,
  readText,
} from '@heed/tensor-backend'
import { resolveModel } from '#hub'
import { type HfConfig, withWholeFloats } from '../hf-json.ts'

/** A hub id becomes the folder of its files; all else stays. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
export async function resolveLocation(location: CheckpointLocation, options: HubOptions): Promise<CheckpointLocation> {
  return typeof location === 'string' ? resolveModel(location, options) : location
}

/** A file of a folder, with what messages call it; undefined when files are given and this is not among them. */
export function fileIn(
  location: CheckpointLocation,
  name: string,
): { file: ByteSourceLike | undefined; source: string } {
  if (location instanceof Map) return { file: location.get(name), source: name }
  const path = `${String(location).replace(/\/$/, '')}/${name}`
  return { file: path, source: path }
}

/** An object out of a JSON file of a folder. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
export async function readJson(
  location: CheckpointLocation,
  name: string,
): Promise<{ json: HfConfig; source: string }> {
  const { file, source } = fileIn(location, name)
  if (file === undefined) {
    throw new HeedError('HEED_FILE_NOT_FOUND', `${name}: it is not among the files given. Add it.`)
  }
  const text = await readText(file)
  const json = parseStrictJson(text, source)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new HeedError('HEED_FILE_INVALID', `${source}: content is ${JSON.stringify(json)}, expected an object.`)
  }
  return { json: withWholeFloats(json as Record<string, unknown>, text), source }
}
