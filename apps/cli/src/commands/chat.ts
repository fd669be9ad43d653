import type { CacheOptions } from '@heed/transformer'
import { Command } from 'commander'
import type { LoadOptions } from 'heed'
import { numberBetween, wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { cacheDtypeOption, dtypeOption, modelHelp } from '../load-options.ts'

export interface ChatOptions {
  system?: string
  maxNewTokens: number
  temperature: number
  topP: number
  seed: number
  dtype?: NonNullable<LoadOptions['dtype']>
  cacheDtype: NonNullable<CacheOptions['cacheDtype']>
}

/** What a line that begins with a slash does in the conversation. */
export const help = `  /help           this list
  /system TEXT    begin anew with instructions for the model
  /clear          begin anew
  /undo           take back the last question and answer
  /retry          answer the last question again
  /save FILE      write the conversation as JSON
  /exit           leave; so does Ctrl-D
A line that ends in \\ goes on in the next one; """ on a line of its own begins and ends several lines.
Ctrl-C stops an answer, and drops what is being written.`

/** `heed chat`: a conversation in the terminal. */
export function chatCommand(): Command {
  return new Command('chat')
    .description('Talk with a model; answers appear as they are made.')
    .argument('<model>', modelHelp)
    .option('--system <text>', 'instructions for the model')
    .option('--max-new-tokens <n>', 'longest answer', wholeNumber(1), 1024)
    .option('--temperature <x>', '0 takes the likeliest token each time', numberBetween(0, 100), 0.7)
    .option('--top-p <x>', 'sample among the likeliest tokens that hold this probability', numberBetween(0, 1), 0.95)
    .option('--seed <n>', 'of the sampling', wholeNumber(0), 42)
    .addOption(dtypeOption())
    .addOption(cacheDtypeOption())
    .addHelpText('after', `\nExample:\n  heed chat runs/book/model --temperature 0.5\n\nIn the conversation:\n${help}`)
    .action(
      action(async (source: string, options: ChatOptions) => {
        const { chat } = await import('../actions/chat.ts')
        await chat(source, options)
      }),
    )
}
