import { HeedError } from '@heed/tensor-backend'
import { Decompress } from 'fzstd'
import { Xxh64 } from './xxh64.ts'

/** The most memory of what came before that a file may ask for: what `zstd -d` allows by itself. */
const maxWindow = 2 ** 27
/** The most bytes that a block unpacks to. */
const maxBlock = 2 ** 17

const damaged = (file: string, cause?: unknown): HeedError =>
  new HeedError('HEED_FILE_INVALID', `${file}: the zstd data is damaged or cut off. Copy or download it again.`, {
    cause,
  })

/**
 * Unpacks Zstandard (RFC 8878) on the way. fzstd unpacks the blocks; what it does not look at is checked here: that
 * frames are whole, and their checksums where they have one. Throws HEED_FILE_INVALID.
 */
export async function* unzstd(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  const input = new ByteReader(chunks)
  try {
    do {
      const magic = uint32(await input.take(4))
      if (magic === 0xfd2fb528) yield* unpackFrame(input, file)
      else if (magic >>> 4 === 0x184d2a5) await input.skip(uint32(await input.take(4)))
      else throw damaged(file)
    } while (!(await input.isAtEnd()))
  } catch (error) {
    throw error instanceof HeedError ? error : damaged(file, error)
  } finally {
    await input.close()
  }
}

async function* unpackFrame(input: ByteReader, file: string): AsyncGenerator<Uint8Array> {
  const { header, size, hasChecksum } = await readHeader(input, file)
  const unpacked: Uint8Array[] = []
  const decompress = new Decompress(bytes => unpacked.push(bytes))
  decompress.push(header)
  const hash = new Xxh64()
  let length = 0
  for (let isLast = false; !isLast; ) {
    const head = await input.take(3)
    isLast = (head[0]! & 1) === 1
    const isRepeatedByte = ((head[0]! >> 1) & 3) === 1
    const blockSize = (head[0]! >> 3) | (head[1]! << 5) | (head[2]! << 13)
    if (blockSize > maxBlock) throw damaged(file)
    const content = await input.take(isRepeatedByte ? 1 : blockSize)
    const checksum = await input.take(isLast && hasChecksum ? 4 : 0)
    decompress.push(joined(head, content, checksum), isLast)
    for (const bytes of unpacked.splice(0)) {
      length += bytes.length
      if (hasChecksum) hash.update(bytes)
      yield bytes
    }
    if (checksum.length > 0 && uint32(checksum) !== Number(hash.digest() & 0xffffffffn)) throw damaged(file)
  }
  if (size !== undefined && length !== size) throw damaged(file)
}

interface FrameHeader {
  /** With the magic number. */
  header: Uint8Array
  /** Bytes that the frame unpacks to, where the header says it. */
  size: number | undefined
  hasChecksum: boolean
}

async function readHeader(input: ByteReader, file: string): Promise<FrameHeader> {
  const flags = (await input.take(1))[0]!
  const hasWindow = (flags & 32) === 0
  const window = await input.take(hasWindow ? 1 : 0)
  const dictionary = await input.take([0, 1, 2, 4][flags & 3]!)
  const contentSize = await input.take([hasWindow ? 0 : 1, 2, 4, 8][flags >> 6]!)
  if (dictionary.some(byte => byte !== 0)) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${file}: the zstd data needs a dictionary, expected data packed without one. Pack it again.`,
    )
  }
  const windowSize = hasWindow ? 2 ** (10 + (window[0]! >> 3)) * (1 + (window[0]! & 7) / 8) : sizeOf(contentSize)
  if (windowSize > maxWindow) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${file}: the zstd data needs ${windowSize} bytes of memory, expected at most ${maxWindow}. Pack it again without --long.`,
    )
  }
  const magic = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd)
  const header = joined(magic, Uint8Array.of(flags), window, dictionary, contentSize)
  return { header, size: contentSize.length > 0 ? sizeOf(contentSize) : undefined, hasChecksum: (flags & 4) !== 0 }
}

/** The content size of a frame: of two bytes it is 256 more than they say. */
function sizeOf(bytes: Uint8Array): number {
  const size = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0)
  return bytes.length === 2 ? size + 256 : size
}

const uint32 = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true)

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Bytes that come in pieces of any size, by the number needed. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#chunks.next()
      if (done) return true
      this.#rest = value
    }
    return false
  }

  /** The next `count` bytes. Throws when there are fewer. */
  async take(count: number): Promise<Uint8Array> {
    while (this.#rest.length < count) {
      const { done, value } = await this.#chunks.next()
      if (done) throw new Error(`${this.#rest.length} bytes are left, expected ${count}`)
      this.#rest = joined(this.#rest, value)
    }
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) left -= (await this.take(Math.min(left, 2 ** 16))).length
  }

  /** Ends the reading where it is. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}
