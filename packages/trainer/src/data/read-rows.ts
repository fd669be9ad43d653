import { type ByteSourceLike, HeedError, openByteSource } from '@heed/tensor-backend'

/** Bytes asked for at a time. */
const CHUNK = 2 ** 20

async function* readChunks(source: ByteSourceLike): AsyncGenerator<Uint8Array> {
  const bytes = await openByteSource(source)
  try {
    for (let offset = 0; offset < bytes.byteLength; offset += CHUNK) {
      yield await bytes.read(offset, Math.min(CHUNK, bytes.byteLength - offset))
    }
  } finally {
    await bytes.close()
  }
}

/** Unpacks gzip on the way. Throws HEED_FILE_INVALID when it is damaged. */
async function* gunzip(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  const stream = new DecompressionStream('gzip')
  const writer = stream.writable.getWriter()
  const feed = async (): Promise<void> => {
    for await (const chunk of chunks) await writer.write(chunk as BufferSource)
    await writer.close()
  }
  const fed = feed()
  fed.catch(() => {}) // the reader below meets the same error
  const reader = stream.readable.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      yield value
    }
    await fed
  } catch (cause) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${file}: the gzip data is damaged or cut off. Copy or download it again.`,
      { cause },
    )
  } finally {
    await writer.abort().catch(() => {}) // when the caller stopped early, what is left is not unpacked
  }
}

/** The name of a file without the end that says how it is packed. */
export const unpackedName = (file: string): string => file.replace(/\.(?:gz|zst)$/, '')

async function unpacked(file: string): Promise<AsyncIterable<Uint8Array>> {
  const chunks = readChunks(file)
  if (file.endsWith('.gz')) return gunzip(chunks, file)
  return file.endsWith('.zst') ? (await import('./zstd.ts')).unzstd(chunks, file) : chunks
}

/**
 * The text of a file in pieces, `.gz` and `.zst` unpacked, without a byte order mark. Throws HEED_FILE_NOT_FOUND, HEED_IO, and
 * HEED_FILE_INVALID when it is not UTF-8.
 */
export async function* readTextChunks(file: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decode = async (bytes?: Uint8Array): Promise<string> => {
    try {
      return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode()
    } catch (cause) {
      throw new HeedError('HEED_FILE_INVALID', `${file}: ${await notUtf8(file)}. Convert the file to UTF-8.`, { cause })
    }
  }
  for await (const bytes of await unpacked(file)) yield await decode(bytes)
  yield await decode()
}

/** What is wrong with a file that is not UTF-8. */
async function notUtf8(file: string): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let line = 1
  let isStart = true
  for await (const bytes of await unpacked(file)) {
    if (isStart && ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))) {
      return 'it is UTF-16'
    }
    isStart = false
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(0x0a, start) + 1 || bytes.length
      try {
        decoder.decode(bytes.subarray(start, end), { stream: true })
      } catch {
        return `line ${line} is not UTF-8`
      }
      if (bytes[end - 1] === 0x0a) line += 1
      start = end
    }
  }
  return 'its last line is cut off within a letter of UTF-8'
}

/** Characters of a line at most: a file without line ends does not fill the memory. */
const maxLineLength = 2 ** 27

/**
 * The lines of a file, `.gz` and `.zst` unpacked, without their ends, each with its number from 1. Throws as `readTextChunks`, and
 * HEED_FILE_INVALID at a line of more than 128 million characters.
 */
export async function* readLines(file: string): AsyncGenerator<[line: string, number: number]> {
  let rest = ''
  let number = 0
  for await (const chunk of readTextChunks(file)) {
    if (!chunk.includes('\n')) {
      rest += chunk
      if (rest.length <= maxLineLength) continue
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${file}: line ${number + 1} has more than ${maxLineLength} characters, expected one row on a line. Break it into lines.`,
      )
    }
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) yield [line.endsWith('\r') ? line.slice(0, -1) : line, ++number]
  }
  if (rest !== '') yield [rest, ++number]
}
