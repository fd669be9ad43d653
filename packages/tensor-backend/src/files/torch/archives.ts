import { HeedError } from '../../errors.ts'
import type { ByteSource } from '../byte-source.ts'
import { shown } from '../strict-json.ts'
import { PickleEndsEarly, unpickle } from './pickle.ts'
import { type TorchStorage, torchRules } from './state.ts'
import { dataOffset, readZipDirectory } from './zip.ts'

/** What both layouts of torch.save come down to. */
export interface TorchArchive {
  /** What was saved: dict as Map, list and tuple as array, tensors as TorchTensor. */
  readonly root: unknown
  /** Throws HEED_FILE_INVALID when the file has fewer bytes for the storage than its tensors were checked against. */
  checkStorage(storage: TorchStorage): void
  /** Where the bytes of a checked storage begin. */
  offsetOf(storage: TorchStorage): Promise<number>
}

/** The pickle of the largest models has a few MB; its memory is several times its size. */
const MAX_PICKLE_BYTES = 128 * 2 ** 20

function invalid(where: string, problem: string): HeedError {
  return new HeedError('HEED_FILE_INVALID', `${where}: ${problem}`)
}

function tooLong(where: string, byteLength: number): HeedError {
  return invalid(where, `the pickle has ${byteLength} bytes, expected at most ${MAX_PICKLE_BYTES}.`)
}

/** PyTorch 1.6 and later: a zip archive with data.pkl and one entry for each storage. */
export async function openZipArchive(source: ByteSource): Promise<TorchArchive> {
  const entries = await readZipDirectory(source)
  const pickleName = [...entries.keys()].find(name => name === 'data.pkl' || /^[^/]*\/data\.pkl$/.test(name))
  const pickle = entries.get(pickleName ?? '')
  if (pickleName === undefined || !pickle)
    throw invalid(source.name, 'zip entry data.pkl is missing, expected a PyTorch checkpoint.')
  if (pickle.byteLength > MAX_PICKLE_BYTES) throw tooLong(source.name, pickle.byteLength)
  const folder = pickleName.slice(0, -'data.pkl'.length)
  const order = entries.get(`${folder}byteorder`)
  if (order) {
    const text = new TextDecoder().decode(await source.read(await dataOffset(source, order), order.byteLength))
    if (text !== 'little') throw invalid(source.name, `byteorder is ${shown(text)}, expected "little".`)
  }
  const bytes = await source.read(await dataOffset(source, pickle), pickle.byteLength)
  return {
    root: unpickle(bytes, source.name, torchRules(source.name)).value,
    checkStorage({ key, byteLength }) {
      const entry = entries.get(`${folder}data/${key}`)
      if (entry && entry.byteLength >= byteLength) return
      throw invalid(
        source.name,
        `storage ${shown(key)} has ${entry?.byteLength ?? 'no'} bytes, expected ${byteLength}. The file is truncated or damaged.`,
      )
    },
    offsetOf: ({ key }) => dataOffset(source, entries.get(`${folder}data/${key}`)!),
  }
}

/** What the first of the five pickles of the old layout says. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn

/** Runs the five pickles at the head of the old layout: magic, version, system, what was saved, keys of storages. */
function unpickleHead(bytes: Uint8Array, where: string): { root: unknown; storages: TorchStorage[]; end: number } {
  const found = new Map<string, TorchStorage>()
  const rules = torchRules(where)
  const persistent = (id: unknown) => {
    const storage = rules.persistent(id) as TorchStorage
    found.set(storage.key, storage)
    return storage
  }
  const values: unknown[] = []
  let end = 0
  for (let i = 0; i < 5; i++) {
    const pickle = unpickle(bytes, where, { ...rules, persistent }, end)
    values.push(pickle.value)
    end = pickle.end
    if (i === 0 && pickle.value !== LEGACY_MAGIC) throw invalid(where, 'it is a pickle but not a PyTorch checkpoint.')
  }
  const [, , system, root, keys] = values
  if (system instanceof Map && system.get('little_endian') === false)
    throw invalid(where, 'byteorder is "big", expected "little".')
  const storages = (Array.isArray(keys) ? keys : []).map(key => found.get(key))
  if (storages.length !== found.size || storages.includes(undefined)) {
    throw invalid(where, 'the list of storages differs from those that tensors use. The file is damaged.')
  }
  return { root, storages: storages as TorchStorage[], end }
}

async function readHead(source: ByteSource): Promise<ReturnType<typeof unpickleHead>> {
  for (let length = 2 ** 20; ; length *= 4) {
    const bytes = await source.read(0, Math.min(length, source.byteLength))
    try {
      return unpickleHead(bytes, source.name)
    } catch (error) {
      if (!(error instanceof PickleEndsEarly) || length >= source.byteLength) throw error
      if (length >= MAX_PICKLE_BYTES) throw tooLong(source.name, length)
    }
  }
}

/** PyTorch before 1.6: five pickles, then each storage as the number of its elements in 8 bytes, and its bytes. */
export async function openLegacyArchive(source: ByteSource): Promise<TorchArchive> {
  const { root, storages, end } = await readHead(source)
  const offsets = new Map<string, number>()
  let offset = end
  for (const { key, elements, byteLength } of storages) {
    const count = new DataView((await source.read(offset, 8)).buffer).getBigInt64(0, true)
    if (count !== BigInt(elements)) {
      throw invalid(
        source.name,
        `storage ${shown(key)} has ${count} elements, expected ${elements}. The file is damaged.`,
      )
    }
    offset += 8
    offsets.set(key, offset)
    offset += byteLength
    if (offset > source.byteLength) {
      throw invalid(
        source.name,
        `storage ${shown(key)} ends at byte ${offset}, expected at most ${source.byteLength}. It is truncated.`,
      )
    }
  }
  // Every storage was found above, and lies within the file.
  return { root, checkStorage: () => {}, offsetOf: async ({ key }) => offsets.get(key)! }
}
