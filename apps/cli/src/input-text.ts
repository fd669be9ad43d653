import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { HeedError } from '@heed/tensor-backend/errors'
import { glob, isDynamicPattern } from 'tinyglobby'
import { isFile } from './path-kind.ts'

const STANDARD_INPUT = 'standard input'

/** The files that paths and globs name, each once, those of a glob by name. Throws HEED_FILE_NOT_FOUND for a glob without files. */
export async function filesOf(patterns: readonly string[]): Promise<string[]> {
  const files: string[] = []
  for (const pattern of patterns) {
    // a file may have a name that looks like a pattern
    if (!isDynamicPattern(pattern) || (await isFile(pattern))) files.push(pattern)
    else {
      const found = await glob(pattern, { absolute: pattern.startsWith('/'), expandDirectories: false })
      if (found.length === 0) {
        throw new HeedError('HEED_FILE_NOT_FOUND', `${pattern}: no file has such a name. Check the pattern.`)
      }
      files.push(...found.sort())
    }
  }
  return [...new Set(files)]
}

/** The text of the files, paths or globs, or of standard input when there are none. Throws as `readTextFiles`. */
export async function inputText(patterns: readonly string[]): Promise<string> {
  if (patterns.length > 0) {
    const { readTextFiles } = await import('@heed/trainer') // commands on tokenizers need no more of it
    return readTextFiles(await filesOf(patterns))
  }
  let text = ''
  for await (const part of decoded(process.stdin, STANDARD_INPUT)) text += part
  return text
}

/** Lines of texts with their ends, as a stream: no text need fit in memory. */
export interface LineInput {
  /** Bytes in all, 0 when that is not known. */
  readonly numBytes: number
  /** Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID when a text is empty or not UTF-8, HEED_IO. */
  lines(onBytes: (count: number) => void): AsyncGenerator<string>
}

/** The lines of files, paths or globs, or of standard input when there are none. Throws HEED_FILE_NOT_FOUND. */
export async function inputLines(patterns: readonly string[]): Promise<LineInput> {
  const files = await filesOf(patterns)
  const sizes = await Promise.all(
    files.map(file =>
      stat(file).then(
        found => found.size,
        (cause: NodeJS.ErrnoException) => Promise.reject(readFailure(file, cause)),
      ),
    ),
  )
  return {
    numBytes: sizes.reduce((sum, size) => sum + size, 0),
    async *lines(onBytes) {
      if (files.length === 0) yield* linesOf(process.stdin, STANDARD_INPUT, onBytes)
      for (const file of files) yield* linesOf(createReadStream(file), file, onBytes)
    },
  }
}

async function* linesOf(
  bytes: AsyncIterable<Uint8Array>,
  where: string,
  onBytes: (count: number) => void,
): AsyncGenerator<string> {
  let open = ''
  let isEmpty = true
  for await (const text of decoded(bytes, where, onBytes)) {
    if (text.trim() !== '') isEmpty = false
    const end = text.lastIndexOf('\n') + 1
    if (end === 0) open += text
    else {
      yield* (open + text.slice(0, end)).split(/(?<=\n)/)
      open = text.slice(end)
    }
  }
  if (isEmpty) {
    const message = `${where}: ${where === STANDARD_INPUT ? 'it' : 'the file'} is empty, expected text.`
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${message} ${where === STANDARD_INPUT ? 'Pipe a text, or name files.' : 'Check the path.'}`,
    )
  }
  if (open !== '') yield open
}

async function* decoded(
  bytes: AsyncIterable<Uint8Array>,
  where: string,
  onBytes: (count: number) => void = () => {},
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    for await (const chunk of bytes) {
      onBytes(chunk.length)
      yield decoder.decode(chunk, { stream: true })
    }
    yield decoder.decode()
  } catch (cause) {
    throw readFailure(where, cause as NodeJS.ErrnoException)
  }
}

function readFailure(where: string, cause: NodeJS.ErrnoException): HeedError {
  if (cause.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
    return new HeedError(
      'HEED_FILE_INVALID',
      `${where}: text is not valid UTF-8. The file is damaged or of another format.`,
      { cause },
    )
  }
  if (cause.code === 'ENOENT') {
    return new HeedError('HEED_FILE_NOT_FOUND', `${where}: there is no such file or folder. Check the path.`, { cause })
  }
  if (cause.code === 'EISDIR') {
    return new HeedError('HEED_IO', `${where}: this is a folder, expected a file. Name the files in it.`, { cause })
  }
  return new HeedError('HEED_IO', `${where}: reading failed: ${cause.code ?? cause.message}. Check the path.`, {
    cause,
  })
}
