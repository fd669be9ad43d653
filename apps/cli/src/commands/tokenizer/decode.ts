import { HeedError } from '@heed/tensor-backend'
import { Command } from 'commander'
import { action } from '../../failure.ts'
import { isPrintedAsItGoes, linesWithProgress } from './lines.ts'
import { loadTokenizer, tokenizerArgument } from './load.ts'

interface DecodeOptions {
  file?: string[]
  keepSpecialTokens?: boolean
  json?: boolean
}

export function decodeCommand(): Command {
  return new Command('decode')
    .description('Print the texts of ids: those of the arguments, or of each line of --file or of standard input.')
    .argument('<tokenizer>', tokenizerArgument)
    .argument('[ids...]', 'token ids of one text')
    .option('--file <path...>', 'take each line of these files or quoted globs as the ids of a text')
    .option('--keep-special-tokens', 'keep special tokens in the text')
    .option('--json', 'print one JSON object per text')
    .addHelpText('after', '\nExample:\n  heed tokenizer decode my-tokenizer 52 299 12')
    .action(
      action(async (source: string, given: string[], { file = [], keepSpecialTokens, json }: DecodeOptions) => {
        if (given.length > 0 && file.length > 0) {
          throw new HeedError(
            'HEED_ARGUMENT_INVALID',
            `--file is ${file.join(', ')}, expected none beside ids given as arguments. Leave one of them out.`,
          )
        }
        const tokenizer = await loadTokenizer(source)
        const print = (ids: readonly number[]) => {
          const text = tokenizer.decode(ids, { skipSpecialTokens: !keepSpecialTokens })
          console.log(json ? JSON.stringify({ text }) : text)
        }
        if (given.length > 0) print(idsOf(given.join(' '), 'the list of ids'))
        else {
          let number = 0
          const lines = linesWithProgress('decode', file, json === true || isPrintedAsItGoes())
          for await (const line of lines) print(idsOf(line, `line ${++number}`))
        }
      }),
    )
}

/** Ids apart from each other by spaces or commas, in brackets or not. Throws HEED_ARGUMENT_INVALID. */
function idsOf(line: string, where: string): number[] {
  return line
    .split(/[\s,[\]]+/)
    .filter(Boolean)
    .map(word => {
      if (/^\d+$/.test(word)) return Number(word)
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `heed tokenizer decode: ${where} has ${JSON.stringify(word)}, expected whole numbers from 0 on. Give ids, as encode prints them.`,
      )
    })
}
