import { Tokenizer } from '@heed/tokenizer'
import { readDatasetPieces, readTextPieces, type TextPieces, type TokenPiece, writeTokenShards } from '@heed/trainer'
import type { PrepareOptions } from '../commands/data.ts'
import { isDataset } from '../dataset-name.ts'
import { encodeByThreads } from '../encode-threads.ts'
import { formatOf } from '../file-format.ts'
import { formatCount, formatSeconds } from '../terminal/format.ts'

/** Writes the tokens of files or data sets into a folder. Throws as the readers and `writeTokenShards`. */
export async function prepare(files: string[], options: PrepareOptions): Promise<void> {
  const { out, workers: threads } = options
  const startedAt = performance.now()
  const tokenizer = await Tokenizer.fromPretrained(options.tokenizer)
  const endId = options.eos ? tokenizer.specialTokenId('eos_token') : undefined
  const settings = { folder: options.tokenizer, endId, threads }
  const pieces = encodeByThreads(piecesOf(files, options), settings)
  const index = await writeTokenShards(out, reported(pieces, options.json === true), { vocabSize: tokenizer.vocabSize })
  await tokenizer.save(out)
  const seconds = (performance.now() - startedAt) / 1000
  const { numTokens, numBytes, shards } = index
  if (options.json) {
    console.log(JSON.stringify({ out, numTokens, numBytes, shards: shards.length, seconds }))
  } else {
    console.log(
      `saved ${out}: ${formatCount(numTokens)} tokens of ${formatCount(numBytes)} bytes in ${formatSeconds(seconds)}`,
    )
  }
}

async function* piecesOf(files: string[], options: PrepareOptions): AsyncGenerator<TextPieces> {
  const { format, textColumn, split, config } = options
  for (const file of files) {
    if (await isDataset(file, options)) yield* readDatasetPieces(file, { split, config, textColumn })
    else yield* readTextPieces(format ?? formatOf(file) ?? 'text', [file], textColumn, split)
  }
}

/** The pieces, with a line on a terminal that says how far they are. */
async function* reported(pieces: AsyncIterable<TokenPiece>, isQuiet: boolean): AsyncGenerator<TokenPiece> {
  let numBytes = 0
  const isShown = !isQuiet && process.stderr.isTTY
  for await (const piece of pieces) {
    numBytes += piece.numBytes
    if (isShown) process.stderr.write(`\rprepare    ${formatCount(Math.round(numBytes / 2 ** 20))} MB`)
    yield piece
  }
  if (isShown) process.stderr.write('\r\x1b[K')
}
