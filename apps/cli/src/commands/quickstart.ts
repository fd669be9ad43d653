import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { defaultRecipe } from './train.ts'

const bundledCorpus = fileURLToPath(new URL('../tiny-shakespeare.txt', import.meta.url))

export interface QuickstartOptions {
  steps: number
  out: string
  data: string
  json?: boolean
}

/** `heed quickstart`: tokenizer, model, picture and text from the bundled corpus, in about two minutes. */
export function quickstartCommand(): Command {
  return new Command('quickstart')
    .description('Train a tokenizer and a small LLaMA on Shakespeare, save both, and write text with them.')
    .option('--steps <n>', 'steps to train', wholeNumber(1), defaultRecipe.steps)
    .option('--out <folder>', 'where everything goes', 'heed-quickstart')
    .option('--data <file>', 'a UTF-8 text file in place of Shakespeare', bundledCorpus)
    .option('--json', 'print one JSON object per line')
    .addHelpText('after', '\nExample:\n  heed quickstart --steps 500 --data my-novel.txt')
    .action(
      action(async (options: QuickstartOptions) => {
        const { quickstart } = await import('../actions/quickstart.ts')
        await quickstart(options)
      }),
    )
}
