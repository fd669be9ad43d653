import type { Command } from 'commander'
import type { GenerationSettings } from 'heed'
import { numberBetween, wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { type TextOptions, textCommand } from '../text-command.ts'

export interface TranslateOptions
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
      action(async (model: string, texts: string[], options: TranslateOptions) => {
        const { translate } = await import('../actions/translate.ts')
        await translate(model, texts, options)
      }),
    )
}
