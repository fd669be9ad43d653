import { availableParallelism } from 'node:os'
import { Tokenizer } from '@heed/tokenizer'
import {
  type DatasetFormat,
  readDatasetPieces,
  readTextPieces,
  type TextPieces,
  type TokenPiece,
  writeTokenShards,
} from '@heed/trainer'
import { Command, Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { isDataset, splitHelp } from '../dataset-name.ts'
import { encodeByThreads } from '../encode-threads.ts'
import { action } from '../failure.ts'
import { formatOf } from '../file-format.ts'
import { formatCount, formatSeconds } from '../terminal/format.ts'

interface PrepareOptions {
  tokenizer: string
  out: string
  format?: DatasetFormat
  split?: string
  config?: string
  textColumn: string
  workers: number
  eos: boolean
  json?: boolean
}

/** `heed data prepare`. */
export function dataCommand(): Command {
  return new Command('data').description('Make text ready for training.').addCommand(prepareSubcommand())
}

function prepareSubcommand(): Command {
  return new Command('prepare')
    .description('Tokenise files of any size into a folder that heed train reads from the disk.')
    .argument(
      '<files...>',
      'text, JSON lines or CSV files, also packed as .gz or .zst; Parquet or Arrow files; or a data set: its folder, or user/name on the hub',
    )
    .requiredOption('--tokenizer <folder>', 'the tokenizer; it is copied into the folder')
    .requiredOption('--out <folder>', 'where the tokens go')
    .addOption(
      new Option('--format <name>', 'of the files; by their names when left out').choices([
        'text',
        'json',
        'csv',
        'parquet',
        'arrow',
      ]),
    )
    .option('--split <name>', splitHelp)
    .option('--config <name>', 'of a data set that has several')
    .option('--text-column <name>', 'where the text is in rows', 'text')
    .option('--workers <n>', 'threads that tokenise', wholeNumber(1), availableParallelism())
    .option('--no-eos', 'leave out the end-of-text token after each document')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  heed data prepare wiki.txt --tokenizer my-tokenizer --out wiki-tokens\n  heed train wiki-tokens --out runs/wiki\n  heed data prepare roneneldan/TinyStories --split train --tokenizer my-tokenizer --out story-tokens',
    )
    .action(action((files: string[], options: PrepareOptions) => prepare(files, options)))
}

async function prepare(files: string[], options: PrepareOptions): Promise<void> {
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
