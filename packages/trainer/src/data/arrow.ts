import { type ByteSource, HeedError, openByteSource } from '@heed/tensor-backend'
import { CompressionType, setCompressionCodec, tableFromIPC } from '@uwdata/flechette'
import { decompress } from 'fzstd'
import type { Row } from './load-dataset.ts'
import { unpackLz4 } from './lz4.ts'
import { plainValue } from './plain-value.ts'

/** What a message holds, by the number that stands in it. */
const [schemaKind, recordsKind] = [1, 3]

interface Message {
  kind: number
  bytes: Uint8Array
}

/**
 * The rows of an Arrow file (also called Feather), or of an Arrow stream, which `save_to_disk` of HF's datasets writes; one
 * record batch in memory at a time. A file is a stream between a mark and a footer: both are read message by message.
 * https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
 * Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO.
 */
export async function* readArrow(path: string): AsyncGenerator<Row> {
  const source = await openByteSource(path)
  try {
    /** The schema, and the dictionaries so far: what each record batch needs. */
    const shared: Uint8Array[] = []
    for await (const { kind, bytes } of readMessages(source, path)) {
      if ((kind === schemaKind) !== (shared.length === 0)) throw invalid(path, 'it does not begin with its one schema')
      if (kind === recordsKind) yield* rowsOf([...shared, bytes], path)
      else shared.push(bytes)
    }
    if (shared.length === 0) throw invalid(path, 'it has no schema')
  } finally {
    await source.close()
  }
}

function invalid(path: string, reason: string, cause?: unknown): HeedError {
  return new HeedError('HEED_FILE_INVALID', `${path}: it cannot be read as Arrow: ${reason}.`, { cause })
}

async function* readMessages(source: ByteSource, path: string): AsyncGenerator<Message> {
  let { at, end } = await messagesOf(source, path)
  const read = async (offset: number, length: number): Promise<DataView> => {
    if (!(length >= 0 && offset + length <= end)) throw invalid(path, 'it is cut off, damaged, or something else')
    const { buffer, byteOffset, byteLength } = await source.read(offset, length)
    return new DataView(buffer, byteOffset, byteLength)
  }
  while (at < end) {
    // Before the length stands a mark of -1 since Arrow 0.15.
    const first = (await read(at, 4)).getInt32(0, true)
    const prefix = first === -1 ? 8 : 4
    const length = first === -1 ? (await read(at + 4, 4)).getInt32(0, true) : first
    if (length === 0) return
    const { kind, bodyLength } = messageInfo(await read(at + prefix, length), path)
    const message = await read(at, prefix + length + bodyLength)
    yield { kind, bytes: new Uint8Array(message.buffer, message.byteOffset, message.byteLength) }
    at += message.byteLength
  }
}

/** Where the messages of a file or a stream begin and end. */
async function messagesOf(source: ByteSource, path: string): Promise<{ at: number; end: number }> {
  const size = source.byteLength
  const text = async (offset: number, length: number): Promise<string> =>
    new TextDecoder('latin1').decode(await source.read(offset, length))
  const start = await text(0, Math.min(6, size))
  if (start.startsWith('FEA1')) {
    throw invalid(path, 'it is Feather of version 1, expected version 2. Write it again with a pyarrow of today')
  }
  if (start !== 'ARROW1') return { at: 0, end: size }
  // At the end: the footer, its length, and the mark again.
  if (size < 18 || (await text(size - 6, 6)) !== 'ARROW1')
    throw invalid(path, 'it is cut off, damaged, or something else')
  const { buffer, byteOffset } = await source.read(size - 10, 4)
  return { at: 8, end: size - 10 - new DataView(buffer, byteOffset).getInt32(0, true) }
}

/** Two fields of a message's head, a table of FlatBuffers (https://github.com/apache/arrow/blob/main/format/Message.fbs). */
function messageInfo(head: DataView, path: string): { kind: number; bodyLength: number } {
  try {
    const table = head.getUint32(0, true)
    const places = table - head.getInt32(table, true)
    const placeOf = (field: number): number => {
      const at = 4 + 2 * field
      const offset = at < head.getUint16(places, true) ? head.getUint16(places + at, true) : 0
      return offset === 0 ? -1 : table + offset // a field that is left out is 0
    }
    const [kind, bodyLength] = [placeOf(1), placeOf(3)]
    return {
      kind: kind < 0 ? 0 : head.getUint8(kind),
      bodyLength: bodyLength < 0 ? 0 : Number(head.getBigInt64(bodyLength, true)),
    }
  } catch (cause) {
    throw invalid(path, 'it is cut off, damaged, or something else', cause)
  }
}

function rowsOf(messages: Uint8Array[], path: string): Row[] {
  setCompressionCodec(
    CompressionType.ZSTD,
    decoder((bytes, size) => decompress(bytes, new Uint8Array(size))),
  )
  setCompressionCodec(CompressionType.LZ4_FRAME, decoder(unpackLz4))
  try {
    return tableFromIPC(messages, { useDate: true, useBigInt: true })
      .toArray()
      .map(row => plainValue(row) as Row)
  } catch (cause) {
    throw invalid(path, cause instanceof Error ? cause.message.replace(/\.$/, '') : String(cause), cause)
  }
}

type Decode = (bytes: Uint8Array, size: number) => Uint8Array

const decoder = (decode: Decode) => ({ decode, encode: (bytes: Uint8Array) => bytes })
