import type { TrainingProgress } from '@heed/tokenizer'
import { Command, Option } from 'commander'
import { wholeNumber } from '../../arguments.ts'
import { action } from '../../failure.ts'
import { formatCount } from '../../terminal/format.ts'
import { ProgressBar } from '../../terminal/progress.ts'
import { type TokenizerType, tokenizerTypes, trainTokenizer } from '../../train-tokenizer.ts'
import { linesWithProgress } from './lines.ts'

interface TrainOptions {
  out: string
  type: TokenizerType
  vocabSize: number
  minFrequency?: number
  json?: boolean
}

/** The stage in which the trainer counts what it reads. */
const READING = 'Pre-processing sequences'

export function trainCommand(): Command {
  return new Command('train')
    .description('Train a tokenizer on the lines of texts and save it as a HuggingFace folder.')
    .argument('[files...]', 'UTF-8 text files or quoted globs; standard input when there are none')
    .requiredOption('--out <folder>', 'where tokenizer.json goes')
    .addOption(
      new Option('--type <type>', 'bpe as GPT-2, wordpiece as BERT (uncased), unigram as T5')
        .choices(tokenizerTypes)
        .default('bpe'),
    )
    .option('--vocab-size <n>', 'tokens, special ones included, and for bpe the 256 bytes', wholeNumber(257), 8192)
    .option('--min-frequency <n>', 'merge a pair only if it occurs this often; 2 when left out', wholeNumber(0))
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      "\nExamples:\n  heed tokenizer train 'data/**/*.txt' --out my-tokenizer --vocab-size 4096" +
        '\n  zcat corpus.gz | heed tokenizer train --out my-tokenizer --type wordpiece',
    )
    .action(
      action(async (files: string[], { out, json, ...options }: TrainOptions) => {
        const isQuiet = json === true
        const texts = linesWithProgress('read', files, isQuiet)
        const bar = new ProgressBar('learn', 1, isQuiet || !process.stderr.isTTY)
        const onProgress = ({ stage, done, total }: TrainingProgress) => {
          if (stage !== READING && total !== undefined) bar.update(done / total, `${stage}: ${formatCount(done)}`)
        }
        const tokenizer = await trainTokenizer(texts, { ...options, onProgress })
        bar.clear()
        await tokenizer.save(out)
        if (json) console.log(JSON.stringify({ out, vocabSize: tokenizer.vocabSize }))
        else console.log(`saved ${out}: ${formatCount(tokenizer.vocabSize)} tokens`)
      }),
    )
}
