import type { EmbedOptions } from '../commands/embed.ts'
import { runTask } from '../text-task.ts'

/** Prints a vector for each text. Throws as `runTask`. */
export async function embed(
  model: string,
  texts: readonly string[],
  { pooling, normalize, ...options }: EmbedOptions,
): Promise<void> {
  await runTask(
    'feature-extraction',
    model,
    texts,
    options,
    async (pipe, batch) => (await pipe(batch, { pooling, normalize, batchSize: batch.length })) as number[][],
    {
      nothing: [],
      json: (text, embedding) => ({ text, embedding }),
      lines: (_text, embedding) => embedding.map(value => value.toPrecision(7)).join(' '),
    },
  )
}
