import type { TranslateOptions } from '../commands/translate.ts'
import { runTask } from '../text-task.ts'
import { translationSettings } from '../translation-settings.ts'

/** Prints each text in another language. Throws as `runTask`. */
export async function translate(
  model: string,
  texts: readonly string[],
  { file, batchSize, json, truncation, ...given }: TranslateOptions,
): Promise<void> {
  await runTask(
    'translation',
    model,
    texts,
    { batchSize, ...(file && { file }), ...(json && { json }) },
    (pipe, batch) => pipe(batch, { batchSize: batch.length, truncation, ...translationSettings(pipe.model, given) }),
    {
      nothing: { translationText: '' },
      json: (text, { translationText }) => ({ text, translation: translationText }),
      lines: (_text, { translationText }) => translationText,
    },
  )
}
