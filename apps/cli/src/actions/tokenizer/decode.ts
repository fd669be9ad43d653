import { HeedError } from '@heed/tokenizer'
import type { DecodeOptions } from '../../commands/tokenizer/decode.ts'
import { isPrintedAsItGoes, linesWithProgress } from './lines.ts'
import { loadTokenizer } from './load.ts'

/** Prints the texts of ids. Throws HEED_ARGUMENT_INVALID, and as `loadTokenizer` and `Tokenizer.decode`. */
export async function decode(
  source: string,
  given: readonly string[],
  { file = [], keepSpecialTokens, json }: DecodeOptions,
): Promise<void> {
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
