import { Command } from 'commander'
import { action } from '../../failure.ts'
import { tokenizerHelp } from '../../load-options.ts'

export interface DecodeOptions {
  file?: string[]
  keepSpecialTokens?: boolean
  json?: boolean
}

export function decodeCommand(): Command {
  return new Command('decode')
    .description('Print the texts of ids: those of the arguments, or of each line of --file or of standard input.')
    .argument('<tokenizer>', tokenizerHelp)
    .argument('[ids...]', 'token ids of one text')
    .option('--file <path...>', 'take each line of these files or quoted globs as the ids of a text')
    .option('--keep-special-tokens', 'keep special tokens in the text')
    .option('--json', 'print one JSON object per text')
    .addHelpText('after', '\nExample:\n  heed tokenizer decode my-tokenizer 52 299 12')
    .action(
      action(async (source: string, ids: string[], options: DecodeOptions) => {
        const { decode } = await import('../../actions/tokenizer/decode.ts')
        await decode(source, ids, options)
      }),
    )
}
