import { listFolder } from '#file-system'
import { HeedError, isHeedError } from '../errors.ts'
import { ifFound } from './if-found.ts'
import { type ByteSourceLike, isUrl, openByteSource } from './open-byte-source.ts'
import { readShardedIndex } from './safetensors/shards.ts'
import { openSafetensors } from './safetensors.ts'
import { shown } from './strict-json.ts'
import { type TensorFile, type TensorInfo, tensorInfo } from './tensor-file.ts'
import { openTorchCheckpoint } from './torch-pickle.ts'
import type { UrlOptions } from './url-source.ts'

/** A folder by path or URL, or its files by name, as a page gets them from a dropped folder. A file with weights will do too. */
export type CheckpointLocation = string | URL | ReadonlyMap<string, ByteSourceLike>

/** What a folder may hold, in the order in which `from_pretrained` looks. */
const SINGLE_FILES = ['model.safetensors', 'pytorch_model.bin'] as const
const indexOf = (file: string) => `${file}.index.json`

const isTorchFile = (name: string) => /\.(bin|pt|pth)$/.test(name)
const isWeightsFile = (name: string) => /\.safetensors$/.test(name) || isTorchFile(name)

function openTensorFile(name: string, source: ByteSourceLike, options: UrlOptions): Promise<TensorFile> {
  return isTorchFile(name) ? openTorchCheckpoint(source, options) : openSafetensors(source, options)
}

/** A file of the folder, or undefined when the folder has none of this name. */
function locate(folder: CheckpointLocation, name: string): ByteSourceLike | undefined {
  if (folder instanceof Map) return folder.get(name)
  const address = String(folder)
  return `${address.replace(/\/$/, '')}/${name}`
}

const nameOfLocation = (location: CheckpointLocation) => (location instanceof Map ? 'folder' : String(location))

/** Throws HEED_FILE_NOT_FOUND when an address is neither a URL nor a folder. */
async function checkFolder(address: string): Promise<void> {
  if (isUrl(address)) return
  try {
    await listFolder(address)
  } catch (error) {
    if (isHeedError(error) && error.code === 'HEED_FILE_NOT_FOUND') throw error
  }
}

/**
 * Opens the weights of a HuggingFace folder: model.safetensors or its shards, else pytorch_model.bin or its shards.
 * Throws HEED_FILE_NOT_FOUND (no weights, or a shard that the index names is missing), HEED_FILE_INVALID, HEED_IO.
 */
export async function openCheckpoint(location: CheckpointLocation, options: UrlOptions = {}): Promise<TensorFile> {
  const address = nameOfLocation(location)
  if (!(location instanceof Map) && isWeightsFile(address)) return openTensorFile(address, address, options)
  for (const file of SINGLE_FILES) {
    const single = locate(location, file)
    const opened = single && (await ifFound(() => openTensorFile(file, single, options)))
    if (opened) return opened
    const index = locate(location, indexOf(file))
    const found = index && (await ifFound(() => openByteSource(index, options)))
    if (found) return openShards(location, await readShardedIndex(found), `${address}: ${indexOf(file)}`, options)
  }
  if (!(location instanceof Map)) await checkFolder(address)
  const expected = SINGLE_FILES.flatMap(file => [file, indexOf(file)]).join(', ')
  throw new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${address}: there are no weights, expected one of ${expected}. Check the folder.`,
  )
}

async function openShard(
  folder: CheckpointLocation,
  file: string,
  where: string,
  options: UrlOptions,
): Promise<TensorFile> {
  const source = locate(folder, file)
  const opened = source && (await ifFound(() => openTensorFile(file, source, options)))
  if (opened) return opened
  throw new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${where}: shard ${shown(file)} is missing from the folder. Download it again.`,
  )
}

async function openShards(
  folder: CheckpointLocation,
  { weightMap }: { weightMap: ReadonlyMap<string, string> },
  where: string,
  options: UrlOptions,
): Promise<TensorFile> {
  const shards = new Map<string, TensorFile>()
  const close = async () => {
    for (const shard of shards.values()) await shard.close()
  }
  try {
    for (const file of new Set(weightMap.values())) shards.set(file, await openShard(folder, file, where, options))
    const tensors = new Map<string, TensorInfo>()
    for (const [name, file] of weightMap) {
      const info = shards.get(file)?.tensors.get(name)
      if (!info) {
        throw new HeedError(
          'HEED_FILE_INVALID',
          `${where}: weight_map says tensor ${shown(name)} is in ${shown(file)}, expected it there. The files are of different saves.`,
        )
      }
      tensors.set(name, info)
    }
    const holder = (name: string): TensorFile => {
      tensorInfo(nameOfLocation(folder), tensors, name)
      return shards.get(weightMap.get(name)!)!
    }
    return {
      name: nameOfLocation(folder),
      tensors,
      readRaw: async name => holder(name).readRaw(name),
      read: async name => holder(name).read(name),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
