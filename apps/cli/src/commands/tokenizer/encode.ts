import { Command } from 'commander'
import { action } from '../../failure.ts'
import { tokenizerHelp } from '../../load-options.ts'

export interface EncodeOptions {
  specialTokens: boolean
  lines?: boolean
  html?: string
  json?: boolean
}

export function encodeCommand(): Command {
  return new Command('encode')
    .description('Print the ids of texts, one line for each; a file is one text.')
    .argument('<tokenizer>', tokenizerHelp)
    .argument('[files...]', 'UTF-8 text files or quoted globs; standard input when there are none')
    .option('--lines', 'take each line as a text')
    .option('--no-special-tokens', 'leave out the tokens that the post-processor adds')
    .option('--html <file>', 'write a page that shows the tokens in colours, with their ids')
    .option('--json', 'print one JSON object per text, with ids, tokens and offsets')
    .addHelpText(
      'after',
      '\nExamples:\n  echo "To be, or not to be" | heed tokenizer encode my-tokenizer' +
        '\n  heed tokenizer encode my-tokenizer play.txt --html tokens.html',
    )
    .action(
      action(async (source: string, files: string[], options: EncodeOptions) => {
        const { encode } = await import('../../actions/tokenizer/encode.ts')
        await encode(source, files, options)
      }),
    )
}
