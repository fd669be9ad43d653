import { availableParallelism } from 'node:os'
import type { DatasetFormat } from '@heed/trainer'
import { Command, Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { splitHelp } from '../load-options.ts'

export interface PrepareOptions {
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
    .action(
      action(async (files: string[], options: PrepareOptions) => {
        const { prepare } = await import('../actions/data.ts')
        await prepare(files, options)
      }),
    )
}
