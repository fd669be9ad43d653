import type { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { type TextOptions, textCommand } from '../text-command.ts'

export interface FillMaskOptions extends TextOptions {
  topK: number
}

/** `heed fill-mask`: the likeliest words for a gap. */
export function fillMaskCommand(): Command {
  return textCommand('fill-mask', 'Fill the mask of each text, such as [MASK], with the likeliest words.')
    .option('--top-k <n>', 'words to give for each mask', wholeNumber(1), 5)
    .addHelpText('after', '\nExample:\n  heed fill-mask google-bert/bert-base-uncased "Paris is the [MASK] of France."')
    .action(
      action(async (model: string, texts: string[], options: FillMaskOptions) => {
        const { fillMask } = await import('../actions/fill-mask.ts')
        await fillMask(model, texts, options)
      }),
    )
}
