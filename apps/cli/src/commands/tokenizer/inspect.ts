import { Command } from 'commander'
import { wholeNumber } from '../../arguments.ts'
import { action } from '../../failure.ts'
import { tokenizerHelp } from '../../load-options.ts'

export interface InspectOptions {
  longest: number
  json?: boolean
}

const defaultSample = "Hello, world! It's 2 o'clock. Привет 你好 🎉"

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what a tokenizer is made of, its special and longest tokens, and how it cuts a text.')
    .argument('<tokenizer>', tokenizerHelp)
    .argument('[text]', 'the text to cut', defaultSample)
    .option('--longest <n>', 'how many of the longest tokens to show', wholeNumber(0), 10)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed tokenizer inspect my-tokenizer "To be, or not to be"')
    .action(
      action(async (path: string, text: string, options: InspectOptions) => {
        const { inspect } = await import('../../actions/tokenizer/inspect.ts')
        await inspect(path, text, options)
      }),
    )
}
