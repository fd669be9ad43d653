import type { Encoding } from '@heed/tokenizer'
import type { EncodeOptions } from '../../commands/tokenizer/encode.ts'
import { filesOf, inputText } from '../../input-text.ts'
import { ProgressBar } from '../../terminal/progress.ts'
import { tokenPage } from '../../token-page.ts'
import { isPrintedAsItGoes, linesWithProgress } from './lines.ts'
import { loadTokenizer } from './load.ts'

/** Prints the ids of texts, or writes a page of them. Throws as `loadTokenizer` and `inputText`. */
export async function encode(source: string, files: readonly string[], options: EncodeOptions): Promise<void> {
  const tokenizer = await loadTokenizer(source)
  const shown: [text: string, encoding: Encoding][] = []
  for await (const text of textsOf(files, options)) {
    const encoding = tokenizer.encode(text, { addSpecialTokens: options.specialTokens })
    if (options.html) shown.push([text, encoding])
    else console.log(options.json ? jsonOf(encoding) : encoding.ids.join(' '))
  }
  if (!options.html) return
  const { writeFileAtomic } = await import('@heed/tensor-backend')
  await writeFileAtomic(options.html, tokenPage(source, shown))
  const numTokens = shown.reduce((sum, [, { length }]) => sum + length, 0)
  console.log(options.json ? JSON.stringify({ html: options.html, numTokens }) : `saved ${options.html}`)
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
