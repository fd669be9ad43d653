import type { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { type TextOptions, textCommand } from '../text-command.ts'

export interface ClassifyOptions extends TextOptions {
  topK: number
  pairs?: boolean
}

/** `heed classify`: a label for each text. */
export function classifyCommand(): Command {
  return textCommand('classify', 'Print the label of each text, with its probability.')
    .option('--top-k <n>', 'labels to give for each text, likeliest first', wholeNumber(1), 1)
    .option('--pairs', 'each text is two, with a tab between them, such as a premise and a hypothesis')
    .addHelpText('after', '\nExample:\n  heed classify my-classifier --file reviews.txt --json')
    .action(
      action(async (model: string, texts: string[], options: ClassifyOptions) => {
        const { classify } = await import('../actions/classify.ts')
        await classify(model, texts, options)
      }),
    )
}
