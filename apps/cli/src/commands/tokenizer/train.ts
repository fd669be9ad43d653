import { Command, Option } from 'commander'
import { wholeNumber } from '../../arguments.ts'
import { action } from '../../failure.ts'

/** Kinds of tokenizers, each with the parts of a model that everybody knows. */
export const tokenizerTypes = ['bpe', 'wordpiece', 'unigram'] as const
export type TokenizerType = (typeof tokenizerTypes)[number]

export interface TrainOptions {
  out: string
  type: TokenizerType
  vocabSize: number
  minFrequency?: number
  json?: boolean
}

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
      action(async (files: string[], options: TrainOptions) => {
        const { train } = await import('../../actions/tokenizer/train.ts')
        await train(files, options)
      }),
    )
}
