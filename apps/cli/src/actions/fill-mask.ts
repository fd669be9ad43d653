import type { FillMaskOptions } from '../commands/fill-mask.ts'
import { formatTable } from '../terminal/format.ts'
import { runTask } from '../text-task.ts'

/** Prints the likeliest words for the masks of each text. Throws as `runTask`. */
export async function fillMask(
  model: string,
  texts: readonly string[],
  { topK, ...options }: FillMaskOptions,
): Promise<void> {
  await runTask('fill-mask', model, texts, options, (pipe, batch) => pipe(batch, { topK, batchSize: batch.length }), {
    nothing: [],
    json: (text, masks) => ({ text, masks: masks.length === 0 || Array.isArray(masks[0]) ? masks : [masks] }),
    lines: (_text, masks) =>
      formatTable(masks.flat().map(({ score, tokenStr, sequence }) => [score.toFixed(4), tokenStr, sequence])),
  })
}
