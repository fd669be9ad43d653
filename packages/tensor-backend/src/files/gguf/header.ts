import { HeedError } from '../../errors.ts'
import type { ByteSource } from '../byte-source.ts'
import { shown } from '../strict-json.ts'
import { elementCount } from '../tensor-file.ts'
import { Cursor, HeaderGoesOn } from './cursor.ts'
import {
  aligned,
  DEFAULT_ALIGNMENT,
  type GgmlType,
  type GgufField,
  type GgufType,
  type GgufValue,
  ggmlTypeOfId,
  ggmlTypes,
  ggufTypes,
} from './types.ts'

export interface GgufTensorInfo {
  readonly type: GgmlType
  /** Row-major, the fastest axis last: the reverse of the order in the file. */
  readonly shape: readonly number[]
  /** From the beginning of the file. */
  readonly byteOffset: number
  readonly byteLength: number
}

export interface GgufHeader {
  readonly version: number
  readonly metadata: ReadonlyMap<string, GgufField>
  readonly tensors: ReadonlyMap<string, GgufTensorInfo>
}

const MAGIC = 0x46554747 // "GGUF"

/** The largest vocabularies with merges take some tens of MB; more is an attack on memory (CWE-789). */
const MAX_HEADER_BYTES = 256 * 2 ** 20

/** ggml's GGML_MAX_DIMS. */
const MAX_AXES = 4

/** Fewest bytes of an entry, so that a count can be refused before anything is made for it. */
const MIN_FIELD_BYTES = 8 + 4 + 1
const MIN_TENSOR_BYTES = 8 + 4 + 4 + 8

const minBytesOf = (type: GgufType): number =>
  ({
    uint8: 1,
    int8: 1,
    bool: 1,
    uint16: 2,
    int16: 2,
    uint32: 4,
    int32: 4,
    float32: 4,
    string: 8,
    uint64: 8,
    int64: 8,
    float64: 8,
  })[type]

function readType(cursor: Cursor, what: string, allowed: readonly string[]): string {
  const id = cursor.uint32(what)
  const type = ggufTypes[id]
  if (type && allowed.includes(type)) return type
  throw cursor.invalid(
    `${what} is ${id}, expected one of ${allowed.map(name => ggufTypes.indexOf(name as 'array')).join(', ')}.`,
  )
}

const scalarTypes = ggufTypes.filter(type => type !== 'array')

function readField(cursor: Cursor, key: string): GgufField {
  const what = `metadata ${shown(key)}`
  const type = readType(cursor, `${what} type`, ggufTypes)
  if (type !== 'array') return { type: type as GgufType, value: cursor.value(type as GgufType, what) }
  const itemType = readType(cursor, `${what} item type`, scalarTypes) as GgufType
  const count = cursor.count(`${what} length`, minBytesOf(itemType))
  const value: GgufValue[] = []
  for (let i = 0; i < count; i++) value.push(cursor.value(itemType, what))
  return { type: itemType, value }
}

interface RelativeTensor {
  readonly type: GgmlType
  readonly shape: readonly number[]
  readonly offset: number
  readonly byteLength: number
}

function readTensorInfo(cursor: Cursor, name: string): RelativeTensor {
  const what = `tensor ${shown(name)}`
  const axes = cursor.uint32(what)
  if (axes > MAX_AXES) throw cursor.invalid(`${what} has ${axes} axes, expected at most ${MAX_AXES}.`)
  const shape: number[] = []
  for (let axis = 0; axis < axes; axis++) shape.unshift(cursor.uint64(what))
  const id = cursor.uint32(what)
  const type = ggmlTypeOfId.get(id)
  if (!type) throw cursor.invalid(`${what} type is ${id}, expected one of ${[...ggmlTypeOfId.keys()].join(', ')}.`)
  const { elements, bytes } = ggmlTypes[type]
  const count = elementCount(shape)
  if (count === undefined || !Number.isSafeInteger(count * bytes)) {
    throw cursor.invalid(`${what} shape is ${shown(shape)}, expected sizes whose product stays below 2^53.`)
  }
  if ((shape.at(-1) ?? 1) % elements !== 0) {
    throw cursor.invalid(
      `${what} shape is ${shown(shape)}, expected a last size that is a multiple of ${elements} for ${type}.`,
    )
  }
  return { type, shape, offset: cursor.uint64(what), byteLength: (count / elements) * bytes }
}

/** Named entries, each once. */
function readEntries<T>(cursor: Cursor, what: string, count: number, read: (name: string) => T): Map<string, T> {
  const entries = new Map<string, T>()
  for (let i = 0; i < count; i++) {
    const name = cursor.text(`${what} name ${i}`, true)
    if (entries.has(name)) throw cursor.invalid(`${what} ${shown(name)} appears twice, expected each name once.`)
    entries.set(name, read(name))
  }
  return entries
}

function readAlignment(cursor: Cursor, metadata: ReadonlyMap<string, GgufField>): number {
  const { type = 'uint32', value = DEFAULT_ALIGNMENT } = metadata.get('general.alignment') ?? {}
  if (type === 'uint32' && typeof value === 'number' && value > 0 && (value & (value - 1)) === 0) return value
  throw cursor.invalid(
    `metadata "general.alignment" is ${shown(String(value))} of type ${type}, expected a power of two of type uint32.`,
  )
}

function parseHeader(cursor: Cursor): GgufHeader {
  if (cursor.uint32('the magic number') !== MAGIC)
    throw cursor.invalid('it does not begin with "GGUF". It is of another format.')
  const version = cursor.uint32('the version')
  if (version !== 2 && version !== 3) {
    throw cursor.invalid(
      `GGUF version is ${version}, expected 2 or 3, little-endian. Convert the model with a current tool.`,
    )
  }
  const tensorCount = cursor.count('tensor count', MIN_TENSOR_BYTES)
  const fieldCount = cursor.count('metadata count', MIN_FIELD_BYTES)
  const metadata = readEntries(cursor, 'metadata', fieldCount, key => readField(cursor, key))
  const tensors = readEntries(cursor, 'tensor', tensorCount, name => readTensorInfo(cursor, name))
  return { version, metadata, tensors: placeTensors(cursor, tensors, readAlignment(cursor, metadata)) }
}

/** As llama.cpp demands: each tensor begins at the first aligned byte behind the one before it, and ends in the file. */
function placeTensors(
  cursor: Cursor,
  tensors: ReadonlyMap<string, RelativeTensor>,
  alignment: number,
): Map<string, GgufTensorInfo> {
  const dataStart = aligned(cursor.at, alignment)
  const placed = new Map<string, GgufTensorInfo>()
  let expected = 0
  for (const [name, { type, shape, offset, byteLength }] of tensors) {
    if (offset !== expected) {
      throw cursor.invalid(
        `tensor ${shown(name)} offset is ${offset}, expected ${expected}, the first aligned byte behind the tensor before it.`,
      )
    }
    const byteOffset = dataStart + offset
    if (byteOffset + byteLength > cursor.fileBytes) {
      throw cursor.invalid(
        `tensor ${shown(name)} ends at byte ${byteOffset + byteLength}, expected at most ${cursor.fileBytes}, the size of the file. ` +
          'The file is truncated: copy or download it again.',
      )
    }
    placed.set(name, { type, shape, byteOffset, byteLength })
    expected = aligned(offset + byteLength, alignment)
  }
  return placed
}

/**
 * Reads and checks the header of a GGUF file: no count, size or offset in it is believed before the file proves it.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Throws HEED_FILE_INVALID, HEED_IO.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  for (let length = 2 ** 20; ; length *= 4) {
    const bytes = await source.read(0, Math.min(length, source.byteLength))
    try {
      return parseHeader(new Cursor(bytes, source.byteLength, source.name))
    } catch (error) {
      if (!(error instanceof HeaderGoesOn)) throw error
      if (length < MAX_HEADER_BYTES) continue
      throw new HeedError('HEED_FILE_INVALID', `${source.name}: the header is longer than ${MAX_HEADER_BYTES} bytes.`)
    }
  }
}
