import type { Command } from 'commander'
import type { GenerationSettings } from 'heed'
import { numberBetween, wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { runTask, type TextOptions, textCommand } from '../text-command.ts'
import { translationSettings } from '../translation-settings.ts'

interface TranslateOptions
  extends TextOptions,
    Pick<GenerationSettings, 'numBeams' | 'lengthPenalty' | 'maxNewTokens'> {
  truncation?: boolean
}

/** `heed translate`: each text in another language. */
export function translateCommand(): Command {
  return textCommand(
    'translate',
    'Translate each text with an encoder-decoder model. Settings left out are the model’s own.',
  )
    .option(
      '--num-beams <n>',
      'translations that are followed at the same time; 1 takes the likeliest token each time',
      wholeNumber(1),
    )
    .option('--length-penalty <x>', 'above 0 favours long translations, with beams', numberBetween(-10, 10))
    .option('--max-new-tokens <n>', 'tokens of a translation at most', wholeNumber(1))
    .option('--truncation', 'cut a text that is longer than the model reads, instead of refusing it')
    .addHelpText('after', '\nExample:\n  heed translate runs/multi30k/model --file sentences.en > sentences.de')
    .action(
      action(
        async (model: string, texts: string[], { file, batchSize, json, truncation, ...given }: TranslateOptions) => {
          await runTask(
            'translation',
            model,
            texts,
            { batchSize, ...(file && { file }), ...(json && { json }) },
            (pipe, batch) =>
              pipe(batch, { batchSize: batch.length, truncation, ...translationSettings(pipe.model, given) }),
            {
              nothing: { translationText: '' },
              json: (text, { translationText }) => ({ text, translation: translationText }),
              lines: (_text, { translationText }) => translationText,
            },
          )
        },
      ),
    )
}
