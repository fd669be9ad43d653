import { HeedError } from '../../errors.ts'
import type { ByteSource } from '../byte-source.ts'
import { decodeUtf8 } from '../open-byte-source.ts'
import { shown } from '../strict-json.ts'

/** A file in the archive: where its local header lies, and how many bytes it has, stored as they are. */
export interface ZipEntry {
  readonly headerOffset: number
  readonly byteLength: number
}

const SIGNATURES = {
  localHeader: 0x04034b50,
  entry: 0x02014b50,
  end: 0x06054b50,
  end64: 0x06064b50,
  locator64: 0x07064b50,
}

/** The end record is 22 bytes and a comment of at most 65,535; the locator of the 64-bit one stands right before it. */
const END_BYTES = 22
const LOCATOR_BYTES = 20
const TAIL_BYTES = LOCATOR_BYTES + END_BYTES + 0xffff

/** A directory for every tensor of the largest checkpoints stays far below; more is an attack on memory (CWE-770). */
const MAX_DIRECTORY_BYTES = 64 * 2 ** 20

function invalid(where: string, problem: string): HeedError {
  return new HeedError('HEED_FILE_INVALID', `${where}: ${problem}`)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A 64-bit number; those that JavaScript cannot hold are beyond any file and fail the next range check. */
const uint64 = (view: DataView, offset: number): number => Number(view.getBigUint64(offset, true))

/** Where the directory of the archive lies. */
async function findDirectory(source: ByteSource): Promise<{ offset: number; byteLength: number }> {
  const tailOffset = Math.max(0, source.byteLength - TAIL_BYTES)
  const tail = viewOf(await source.read(tailOffset, source.byteLength - tailOffset))
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) {
    if (tail.getUint32(at, true) !== SIGNATURES.end) continue
    const directory = { offset: tail.getUint32(at + 16, true), byteLength: tail.getUint32(at + 12, true) }
    const locator = at - LOCATOR_BYTES
    if (locator < 0 || tail.getUint32(locator, true) !== SIGNATURES.locator64) return directory
    const end64 = viewOf(await source.read(uint64(tail, locator + 8), 56))
    if (end64.getUint32(0, true) !== SIGNATURES.end64) break
    return { offset: uint64(end64, 48), byteLength: uint64(end64, 40) }
  }
  throw invalid(source.name, 'the end of a zip archive is missing. The file is truncated or not a PyTorch checkpoint.')
}

/** Sizes and offset of an entry: where a 32-bit field is all ones the 64-bit extra field has the number. */
function wideFields(view: DataView, at: number, extraAt: number, extraEnd: number): [number, number, number] {
  const fields = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)]
  for (let extra = extraAt; extra + 4 <= extraEnd; extra += 4 + view.getUint16(extra + 2, true)) {
    if (view.getUint16(extra, true) !== 1) continue
    let value = extra + 4
    for (const [i, field] of fields.entries()) {
      if (field !== 0xffffffff || value + 8 > extraEnd) continue
      fields[i] = uint64(view, value)
      value += 8
    }
  }
  return fields as [number, number, number]
}

/**
 * The entries of a zip archive by name, as PyTorch writes them: stored, not compressed, with 64-bit sizes.
 * Format: PKWARE APPNOTE 6.3.10, section 4.3. Throws HEED_FILE_INVALID, HEED_IO.
 */
export async function readZipDirectory(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const { offset, byteLength } = await findDirectory(source)
  if (byteLength > MAX_DIRECTORY_BYTES) {
    throw invalid(source.name, `zip directory is ${byteLength} bytes, expected at most ${MAX_DIRECTORY_BYTES}.`)
  }
  const bytes = await source.read(offset, byteLength)
  const view = viewOf(bytes)
  const entries = new Map<string, ZipEntry>()
  for (let at = 0; at < byteLength; ) {
    if (at + 46 > byteLength || view.getUint32(at, true) !== SIGNATURES.entry) {
      throw invalid(source.name, `byte ${at} of the zip directory is no entry. The file is damaged.`)
    }
    const nameEnd = at + 46 + view.getUint16(at + 28, true)
    const extraEnd = nameEnd + view.getUint16(at + 30, true)
    const end = extraEnd + view.getUint16(at + 32, true)
    if (end > byteLength)
      throw invalid(source.name, `byte ${at} of the zip directory is no entry. The file is damaged.`)
    const name = decodeUtf8(bytes.subarray(at + 46, nameEnd), `${source.name}: zip entry`)
    const [size, storedSize, headerOffset] = wideFields(view, at, nameEnd, extraEnd)
    const method = view.getUint16(at + 10, true)
    if (method !== 0 || size !== storedSize) {
      throw invalid(
        `${source.name}: zip entry ${shown(name)}`,
        `method is ${method}, expected 0 (stored). Save it with torch.save.`,
      )
    }
    if (entries.has(name))
      throw invalid(source.name, `zip entry ${shown(name)} appears twice, expected each name once.`)
    if (headerOffset + 30 + size > source.byteLength) {
      throw invalid(
        `${source.name}: zip entry ${shown(name)}`,
        `its ${size} bytes at ${headerOffset} end beyond the file's ${source.byteLength}. The file is truncated or damaged.`,
      )
    }
    entries.set(name, { headerOffset, byteLength: size })
    at = end
  }
  return entries
}

/** Where the bytes of an entry begin: behind its local header, whose length only the header itself tells. */
export async function dataOffset(source: ByteSource, entry: ZipEntry): Promise<number> {
  const header = viewOf(await source.read(entry.headerOffset, 30))
  if (header.getUint32(0, true) !== SIGNATURES.localHeader) {
    throw invalid(source.name, `byte ${entry.headerOffset} begins no zip entry, expected one. The file is damaged.`)
  }
  return entry.headerOffset + 30 + header.getUint16(26, true) + header.getUint16(28, true)
}
