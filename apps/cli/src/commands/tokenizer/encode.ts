import { writeFileAtomic } from '@heed/tensor-backend'
import type { Encoding } from '@heed/tokenizer'
import { Command } from 'commander'
import { action } from '../../failure.ts'
import { filesOf, inputText } from '../../input-text.ts'
import { ProgressBar } from '../../terminal/progress.ts'
import { tokenPage } from '../../token-page.ts'
import { isPrintedAsItGoes, linesWithProgress } from './lines.ts'
import { loadTokenizer, tokenizerArgument } from './load.ts'

interface EncodeOptions {
  specialTokens: boolean
  lines?: boolean
  html?: string
  json?: boolean
}

export function encodeCommand(): Command {
  return new Command('encode')
    .description('Print the ids of texts, one line for each; a file is one text.')
    .argument('<tokenizer>', tokenizerArgument)
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
        const tokenizer = await loadTokenizer(source)
        const shown: [text: string, encoding: Encoding][] = []
        for await (const text of textsOf(files, options)) {
          const encoding = tokenizer.encode(text, { addSpecialTokens: options.specialTokens })
          if (options.html) shown.push([text, encoding])
          else console.log(options.json ? jsonOf(encoding) : encoding.ids.join(' '))
        }
        if (!options.html) return
        await writeFileAtomic(options.html, tokenPage(source, shown))
        const numTokens = shown.reduce((sum, [, { length }]) => sum + length, 0)
        console.log(options.json ? JSON.stringify({ html: options.html, numTokens }) : `saved ${options.html}`)
      }),
    )
}

function jsonOf({ ids, tokens, offsets }: Encoding): string {
  return JSON.stringify({ ids, tokens, offsets })
}

/** Each file or all of standard input is a text; by `lines`, each line of them. */
async function* textsOf(files: readonly string[], options: EncodeOptions): AsyncGenerator<string> {
  const isQuiet = options.json === true || (isPrintedAsItGoes() && !options.html)
  if (options.lines) {
    for await (const line of linesWithProgress('encode', files, isQuiet)) yield line.replace(/\r?\n$/, '')
  } else if (files.length === 0) yield await inputText([])
  else {
    const paths = await filesOf(files)
    const bar = new ProgressBar('encode', paths.length, isQuiet || !process.stderr.isTTY)
    for (const [i, path] of paths.entries()) {
      bar.update(i, path)
      yield await inputText([path])
    }
    bar.clear()
  }
}
