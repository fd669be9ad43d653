import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

/** The lines of Tiny Shakespeare, line breaks included. */
export const shakespeare: readonly string[] = linesOf(
  readFileSync(new URL('../../../../data/tiny-shakespeare.txt', import.meta.url), 'utf8'),
)

const excerptFile = new URL('../fixtures/three-kingdoms-excerpt.txt.gz', import.meta.url)

/** The first 700 lines of the Romance of the Three Kingdoms. */
export const threeKingdomsExcerpt: readonly string[] = linesOf(gunzipSync(readFileSync(excerptFile)).toString('utf8'))

/** Where the whole novel lies if the shared data is beside the repository. */
export const novelPath: string = fileURLToPath(
  new URL('../../../../../shared/data/A/tennessine+corpus/三国演义.txt', import.meta.url),
)

export function readLines(path: string): string[] {
  return linesOf(readFileSync(path, 'utf8'))
}

/** Each character of a corpus with a prefix and suffix, by code point: the fixtures give them as special tokens. */
export function decorated(corpus: readonly string[], prefix = '', suffix = ''): string[] {
  const characters = new Set(corpus.flatMap(text => [...text]).filter(character => !/\s/.test(character)))
  const sorted = [...characters].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  return sorted.map(character => prefix + character + suffix)
}
