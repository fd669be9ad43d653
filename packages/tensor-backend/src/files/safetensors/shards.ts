import { deleteFile, listFolder } from '#file-system'
import { HeedError } from '../../errors.ts'
import { writeFilesAtomic } from '../atomic-write.ts'
import { type ByteSourceLike, openByteSource, readText } from '../open-byte-source.ts'
import { isJsonObject, parseStrictJson, shown } from '../strict-json.ts'
import { elementCount } from '../tensor-file.ts'
import type { UrlOptions } from '../url-source.ts'
import { type NamedTensors, type Planned, planTensors, type WriteSafetensorsOptions, writeContent } from './write.ts'

export interface ShardedIndex {
  readonly metadata: Readonly<Record<string, unknown>>
  /** Tensor name -> name of the file, in the index's folder, that holds it. */
  readonly weightMap: ReadonlyMap<string, string>
}

/** Reads `model.safetensors.index.json` or `pytorch_model.bin.index.json`. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
export async function readShardedIndex(source: ByteSourceLike, options: UrlOptions = {}): Promise<ShardedIndex> {
  const opened = await openByteSource(source, options)
  const where = opened.name
  const index = parseStrictJson(await readText(opened), where)
  const weightMap = isJsonObject(index) ? index.weight_map : undefined
  if (!isJsonObject(weightMap)) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${where}: weight_map is ${shown(weightMap)}, expected an object of file names.`,
    )
  }
  for (const [name, file] of Object.entries(weightMap)) {
    // A name with a separator could lead out of the folder (CWE-22).
    if (typeof file === 'string' && /^[^/\\:]+$/.test(file) && file !== '..' && file !== '.') continue
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${where}: weight_map ${shown(name)} is ${shown(file)}, expected the name of a file in the same folder.`,
    )
  }
  const metadata = isJsonObject(index) && isJsonObject(index.metadata) ? index.metadata : {}
  return { metadata, weightMap: new Map(Object.entries(weightMap as Record<string, string>)) }
}

export interface WriteShardedOptions extends WriteSafetensorsOptions {
  /** Most bytes of tensors in one file, as a number or like '5GB' (powers of 1000): 50 GB unless given, as in transformers 5. */
  readonly maxShardSize?: number | string
  /** `model` unless given: model.safetensors, or model-00001-of-00002.safetensors and model.safetensors.index.json. */
  readonly baseName?: string
}

const units: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 }

function parseSize(size: number | string): number {
  const [, digits = '', unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)?\s*$/i.exec(String(size)) ?? []
  const bytes = Math.floor(Number(digits) * units[unit.toUpperCase()]!)
  if (bytes > 0) return bytes
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `writeShardedSafetensors: maxShardSize is ${shown(size)}, expected a positive number of bytes, or a string like '5GB'.`,
  )
}

/** Tensors in their order, a new shard when the next would pass the limit; a larger one alone. As `huggingface_hub` splits. */
function split(tensors: readonly Planned[], limit: number): Planned[][] {
  const shards: Planned[][] = []
  let current: Planned[] = []
  let size = 0
  for (const tensor of tensors) {
    if (tensor.byteLength > limit) {
      shards.push([tensor])
      continue
    }
    if (size + tensor.byteLength > limit) {
      shards.push(current)
      current = []
      size = 0
    }
    current.push(tensor)
    size += tensor.byteLength
  }
  if (current.length > 0 || shards.length === 0) shards.push(current)
  return shards
}

function indexJson(shards: readonly Planned[][], nameOf: (shard: number) => string): string {
  const tensors = shards.flat()
  const weightMap = shards.flatMap((shard, i) => shard.map(({ name }) => [name, nameOf(i)] as const))
  weightMap.sort(([a], [b]) => (a < b ? -1 : 1))
  const metadata = {
    total_parameters: tensors.reduce((sum, { shape }) => sum + (elementCount(shape) ?? 0), 0),
    total_size: tensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
  }
  return `${JSON.stringify({ metadata, weight_map: Object.fromEntries(weightMap) }, null, 2)}\n`
}

/**
 * Writes a folder as `save_pretrained` does: one file while it fits in `maxShardSize`, else shards and their index.
 * All files appear together when all are complete, then those of an earlier save that are no longer part go.
 * Returns the names written. Throws as `writeSafetensors`.
 */
export async function writeShardedSafetensors(
  folder: string,
  tensors: NamedTensors,
  { maxShardSize = '50GB', baseName = 'model', metadata = { format: 'pt' }, dtype = 'F32' }: WriteShardedOptions = {},
): Promise<string[]> {
  const shards = split(planTensors(folder, tensors, dtype), parseSize(maxShardSize))
  const padded = (n: number) => String(n).padStart(5, '0')
  const suffix = (i: number) => (shards.length === 1 ? '' : `-${padded(i + 1)}-of-${padded(shards.length)}`)
  const nameOf = (i: number) => `${baseName}${suffix(i)}.safetensors`
  const files = shards.map((shard, i) => ({
    name: nameOf(i),
    content: (write: (bytes: Uint8Array) => Promise<void>) => writeContent(write, shard, metadata),
  }))
  if (shards.length > 1) {
    const index = new TextEncoder().encode(indexJson(shards, nameOf))
    files.push({ name: `${baseName}.safetensors.index.json`, content: write => write(index) })
  }
  await writeFilesAtomic(files.map(({ name, content }) => ({ path: `${folder}/${name}`, content })))
  const names = files.map(({ name }) => name)
  await deleteStale(folder, baseName, new Set(names))
  return names
}

/** A single file left beside new shards, or old shards beside a single file, would be loaded in their place. */
async function deleteStale(folder: string, baseName: string, written: ReadonlySet<string>): Promise<void> {
  const suffixes = /^(-\d{5}-of-\d{5})?\.safetensors$|^\.safetensors\.index\.json$/
  for (const name of await listFolder(folder)) {
    const isOurs = name.startsWith(baseName) && suffixes.test(name.slice(baseName.length))
    if (isOurs && !written.has(name)) await deleteFile(`${folder}/${name}`)
  }
}
