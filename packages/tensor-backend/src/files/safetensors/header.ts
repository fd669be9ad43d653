import { HeedError } from '../../errors.ts'
import type { ByteSource } from '../byte-source.ts'
import { dtypeBits, type FileDtype, isFileDtype } from '../dtypes.ts'
import { decodeUtf8 } from '../open-byte-source.ts'
import { isJsonObject, parseStrictJson, shown } from '../strict-json.ts'
import { elementCount } from '../tensor-file.ts'

/** The reference implementation refuses longer headers: a JSON parser may need many times the text (CWE-400). */
const MAX_HEADER_BYTES = 100_000_000

/** PyTorch and NumPy make no tensors of more axes. */
const MAX_AXES = 64

/** The 8 bytes that say how long the header is. */
const LENGTH_BYTES = 8

export interface SafetensorsInfo {
  readonly dtype: FileDtype
  readonly shape: readonly number[]
  /** From the beginning of the file. */
  readonly byteOffset: number
  readonly byteLength: number
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, SafetensorsInfo>
}

function invalid(where: string, problem: string): HeedError {
  return new HeedError('HEED_FILE_INVALID', `${where}: ${problem}`)
}

async function readHeaderText(source: ByteSource): Promise<{ text: string; dataStart: number }> {
  if (source.byteLength < LENGTH_BYTES) {
    throw invalid(
      source.name,
      `size is ${source.byteLength} bytes, expected at least 8. It is truncated or not a safetensors file.`,
    )
  }
  const lengthBytes = await source.read(0, LENGTH_BYTES)
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true)
  if (length > MAX_HEADER_BYTES) {
    throw invalid(
      source.name,
      `header length is ${length}, expected at most ${MAX_HEADER_BYTES}. It is damaged or not a safetensors file.`,
    )
  }
  const dataStart = LENGTH_BYTES + Number(length)
  if (dataStart > source.byteLength) {
    throw invalid(
      source.name,
      `header length is ${length}, expected at most ${source.byteLength - LENGTH_BYTES}, the bytes that follow. ` +
        'The file is truncated: copy or download it again.',
    )
  }
  const text = decodeUtf8(await source.read(LENGTH_BYTES, Number(length)), `${source.name}: header`)
  return { text, dataStart }
}

function parseMetadata(file: string, metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {}
  if (!isJsonObject(metadata)) throw invalid(file, `__metadata__ is ${shown(metadata)}, expected an object of strings.`)
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string')
      throw invalid(file, `__metadata__ ${shown(key)} is ${shown(value)}, expected a string.`)
  }
  return metadata as Record<string, string>
}

function parseTensor(where: string, entry: unknown, dataStart: number): SafetensorsInfo {
  if (!isJsonObject(entry))
    throw invalid(where, `entry is ${shown(entry)}, expected an object with dtype, shape, data_offsets.`)
  const { dtype, shape, data_offsets: offsets } = entry
  if (!isFileDtype(dtype)) {
    throw invalid(where, `dtype is ${shown(dtype)}, expected one of ${Object.keys(dtypeBits).join(', ')}.`)
  }
  const count = Array.isArray(shape) && shape.length <= MAX_AXES ? elementCount(shape) : undefined
  if (count === undefined || !Number.isSafeInteger(count * dtypeBits[dtype])) {
    throw invalid(
      where,
      `shape is ${shown(shape)}, expected at most ${MAX_AXES} sizes whose product, in bits, stays below 2^53.`,
    )
  }
  const [begin, end, ...rest] = Array.isArray(offsets) ? offsets : []
  if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end) || rest.length > 0 || begin < 0 || end < begin) {
    throw invalid(where, `data_offsets is ${shown(offsets)}, expected [begin, end] with 0 <= begin <= end.`)
  }
  const byteLength = (count * dtypeBits[dtype]) / 8
  if (end - begin !== byteLength) {
    throw invalid(
      where,
      `data_offsets is ${shown(offsets)}, expected ${byteLength} bytes for ${dtype} of shape ${shown(shape)}.`,
    )
  }
  return { dtype, shape: shape as number[], byteOffset: dataStart + begin, byteLength }
}

/** The format's rule: tensors fill the data without holes or overlaps, to the last byte of the file. */
function checkCoverage(
  source: ByteSource,
  tensors: readonly (readonly [string, SafetensorsInfo])[],
  dataStart: number,
): void {
  let end = dataStart
  let before = 'the header'
  for (const [name, { byteOffset, byteLength }] of tensors) {
    if (byteOffset !== end) {
      const what = byteOffset < end ? 'an overlap' : 'a gap'
      throw invalid(
        `${source.name}: tensor ${shown(name)}`,
        `data_offsets begin at ${byteOffset - dataStart}, expected ${end - dataStart}, where ${before} ends: ${what} is not allowed.`,
      )
    }
    end += byteLength
    before = `tensor ${shown(name)}`
    if (end > source.byteLength) {
      throw invalid(
        `${source.name}: tensor ${shown(name)}`,
        `its bytes end at ${end} of the file, expected at most ${source.byteLength}, its size. ` +
          'The file is truncated: copy or download it again.',
      )
    }
  }
  if (end !== source.byteLength) {
    throw invalid(
      source.name,
      `size is ${source.byteLength} bytes, expected ${end}, where ${before} ends. It is damaged.`,
    )
  }
}

/**
 * Reads and checks everything that a header claims, as the safetensors library does, before any tensor is read.
 * Format: https://github.com/huggingface/safetensors#format. Throws HEED_FILE_INVALID, HEED_IO.
 */
export async function readHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const { text, dataStart } = await readHeaderText(source)
  const header = parseStrictJson(text, `${source.name}: header`)
  if (!isJsonObject(header)) throw invalid(source.name, `header is ${shown(header)}, expected an object.`)
  const { __metadata__: metadata, ...entries } = header
  const tensors = Object.entries(entries)
    .map(([name, entry]) => [name, parseTensor(`${source.name}: tensor ${shown(name)}`, entry, dataStart)] as const)
    .sort(([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength)
  checkCoverage(source, tensors, dataStart)
  return { metadata: parseMetadata(source.name, metadata), tensors: new Map(tensors) }
}
