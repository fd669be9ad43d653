import { HeedError } from '../errors.ts'

/** A field of a message: its number, and its value as the wire has it. */
export interface ProtobufField {
  readonly number: number
  /** The low 32 bits of a varint, a float of 4 bytes, or the bytes of a string or message. */
  readonly value: number | Uint8Array
}

/** The fields of a protobuf message, in file order. `where` names the file. Throws HEED_FILE_INVALID. */
export function* protobufFields(bytes: Uint8Array, where: string): Generator<ProtobufField> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let position = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[position++]
      if (byte === undefined) throw broken(where, position)
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw broken(where, position)
  }
  const skip = (length: number): number => {
    const start = position
    if (length < 0 || length > bytes.length - start) throw broken(where, start)
    position += length
    return start
  }
  while (position < bytes.length) {
    const tag = varint()
    const number = tag >>> 3
    const wireType = tag & 7
    if (number === 0) throw broken(where, position)
    if (wireType === 0) yield { number, value: varint() }
    else if (wireType === 1) skip(8)
    else if (wireType === 2) {
      const start = skip(varint())
      yield { number, value: bytes.subarray(start, position) }
    } else if (wireType === 5) yield { number, value: view.getFloat32(skip(4), true) }
    else throw broken(where, position)
  }
}

function broken(where: string, position: number): HeedError {
  return new HeedError(
    'HEED_FILE_INVALID',
    `${where}: byte ${position} breaks the format, expected a protobuf message. Fetch the file again.`,
  )
}
