import { type Command, Option } from 'commander'
import { action } from '../failure.ts'
import { type TextOptions, textCommand } from '../text-command.ts'

export interface EmbedOptions extends TextOptions {
  pooling: 'mean' | 'cls'
  normalize: boolean
}

/** `heed embed`: a vector for each text. */
export function embedCommand(): Command {
  return textCommand('embed', 'Print a vector for each text: numbers with spaces between them, a line for each text.')
    .addOption(
      new Option('--pooling <how>', 'the mean over the tokens, or the first one')
        .choices(['mean', 'cls'])
        .default('mean'),
    )
    .option('--no-normalize', 'leave the vectors as long as they are; by default their length is 1')
    .addHelpText('after', '\nExample:\n  heed embed sentence-transformers/all-MiniLM-L6-v2 "A cat sits." --json')
    .action(
      action(async (model: string, texts: string[], options: EmbedOptions) => {
        const { embed } = await import('../actions/embed.ts')
        await embed(model, texts, options)
      }),
    )
}
