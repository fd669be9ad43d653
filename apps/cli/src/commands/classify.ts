import { HeedError, shown } from '@heed/tensor-backend'
import type { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { runTask, type TextOptions, textCommand } from '../text-command.ts'

interface ClassifyOptions extends TextOptions {
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
      action(async (model: string, texts: string[], { topK, pairs, ...options }: ClassifyOptions) => {
        await runTask(
          'text-classification',
          model,
          texts,
          options,
          (pipe, batch) => pipe(pairs ? batch.map(splitPair) : batch, { topK, batchSize: batch.length }),
          {
            nothing: [],
            json: (text, labels) => ({ text, labels }),
            lines: (text, labels) =>
              labels.map(({ label, score }) => `${label}\t${score.toFixed(4)}\t${text}`).join('\n'),
          },
        )
      }),
    )
}

/** The two texts of a line, cut at its first tab. */
function splitPair(line: string): [string, string] {
  const tab = line.indexOf('\t')
  if (tab >= 0) return [line.slice(0, tab), line.slice(tab + 1)]
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `heed classify: text is ${shown(line)}, expected a tab in it with --pairs. Put one between the two texts.`,
  )
}
