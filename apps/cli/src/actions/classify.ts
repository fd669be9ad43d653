import { HeedError, shown } from '@heed/tensor-backend'
import type { ClassifyOptions } from '../commands/classify.ts'
import { runTask } from '../text-task.ts'

/** Prints the likeliest labels of each text. Throws as `runTask`. */
export async function classify(
  model: string,
  texts: readonly string[],
  { topK, pairs, ...options }: ClassifyOptions,
): Promise<void> {
  await runTask(
    'text-classification',
    model,
    texts,
    options,
    (pipe, batch) => pipe(pairs ? batch.map(splitPair) : batch, { topK, batchSize: batch.length }),
    {
      nothing: [],
      json: (text, labels) => ({ text, labels }),
      lines: (text, labels) => labels.map(({ label, score }) => `${label}\t${score.toFixed(4)}\t${text}`).join('\n'),
    },
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
