import type { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { formatTable } from '../terminal/format.ts'
import { runTask, type TextOptions, textCommand } from '../text-command.ts'

/** `heed fill-mask`: the likeliest words for a gap. */
export function fillMaskCommand(): Command {
  return textCommand('fill-mask', 'Fill the mask of each text, such as [MASK], with the likeliest words.')
    .option('--top-k <n>', 'words to give for each mask', wholeNumber(1), 5)
    .addHelpText('after', '\nExample:\n  heed fill-mask google-bert/bert-base-uncased "Paris is the [MASK] of France."')
    .action(
      action(async (model: string, texts: string[], { topK, ...options }: TextOptions & { topK: number }) => {
        await runTask(
          'fill-mask',
          model,
          texts,
          options,
          (pipe, batch) => pipe(batch, { topK, batchSize: batch.length }),
          {
            nothing: [],
            json: (text, masks) => ({ text, masks: masks.length === 0 || Array.isArray(masks[0]) ? masks : [masks] }),
            lines: (_text, masks) =>
              formatTable(masks.flat().map(({ score, tokenStr, sequence }) => [score.toFixed(4), tokenStr, sequence])),
          },
        )
      }),
    )
}
