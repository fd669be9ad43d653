import type { Encoding } from '@heed/tokenizer'

/**
 * A page that shows texts with their tokens in colours; ids and tokens appear where the pointer rests. It needs no script
 * and loads nothing. `name` is the tokenizer's.
 */
export function tokenPage(name: string, texts: readonly (readonly [text: string, encoding: Encoding])[]): string {
  const sections = texts.map(
    ([text, encoding]) => `<section>\n${summary(text, encoding)}\n${tokens(text, encoding)}\n</section>`,
  )
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${html(name)}: tokens</title>
<style>${style}</style>
<h1>${html(name)}</h1>
${sections.join('\n')}
</html>
`
}

function summary(text: string, { length }: Encoding): string {
  const characters = [...text].length
  const mean = length > 0 ? `, ${(characters / length).toFixed(2)} characters a token` : ''
  return `<p>${count(length, 'token')}, ${count(characters, 'character')}${mean}</p>`
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`
}

const COLOURS = 6

/** The text in stretches: one for each token, or for tokens that share a character; what no token covers is plain. */
function tokens(text: string, encoding: Encoding): string {
  const { ids, offsets, specialTokensMask } = encoding
  const parts: string[] = []
  let at = 0
  let colour = 0
  for (let first = 0; first < ids.length; ) {
    const [start, spanEnd] = offsets[first]!
    if (specialTokensMask[first] === 1) {
      parts.push(`<i title="${label(encoding, first, first + 1)}">${html(encoding.tokens[first]!)}</i>`)
      first++
      continue
    }
    let end = Math.max(spanEnd, at)
    let last = first + 1
    while (last < ids.length && specialTokensMask[last] !== 1 && offsets[last]![0] < end) {
      end = Math.max(end, offsets[last]![1])
      last++
    }
    parts.push(visible(text.slice(at, start)))
    const shown = visible(text.slice(Math.max(at, start), end)) || '·'
    parts.push(`<b class="c${colour++ % COLOURS}" title="${label(encoding, first, last)}">${shown}</b>`)
    at = end
    first = last
  }
  parts.push(visible(text.slice(at)))
  return `<pre>${parts.join('')}</pre>`
}

/** `318 Ġis`, one line a token. */
function label({ ids, tokens: names }: Encoding, first: number, last: number): string {
  const lines: string[] = []
  for (let i = first; i < last; i++) lines.push(`${ids[i]} ${html(names[i]!)}`)
  return lines.join('&#10;')
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text as HTML, inside and outside of attributes; control characters, which HTML drops or forbids, by their pictures. */
function html(text: string): string {
  return text
    .toWellFormed()
    .replace(/[&<>"']/g, character => entities[character]!)
    .replace(/(?![\n\t])\p{Cc}/gu, picture)
}

function picture(control: string): string {
  const code = control.charCodeAt(0)
  if (code >= 0x80) return '\u2426'
  return String.fromCharCode(code === 0x7f ? 0x2421 : 0x2400 + code)
}

/** The same with a mark at each line end, so that a token of white space can be seen. */
function visible(text: string): string {
  return html(text).replaceAll('\n', '<u>↵</u>\n')
}

const style = `
:root { color-scheme: light dark; --l: 88%; --s: 75%; font: 16px/1.7 system-ui, sans-serif }
@media (prefers-color-scheme: dark) { :root { --l: 27%; --s: 45% } }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.2rem; overflow-wrap: anywhere }
p { opacity: .7; margin: 1.5rem 0 .3rem }
pre { font: 15px/1.9 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }
b { font-weight: inherit; border-radius: 3px; padding: 2px 0; background: hsl(var(--h) var(--s) var(--l)) }
i { font-style: inherit; font-size: .85em; border: 1px solid currentColor; border-radius: 3px; padding: 0 3px; margin: 0 2px; opacity: .6 }
b:hover, i:hover { outline: 2px solid currentColor; opacity: 1 }
u { text-decoration: none; opacity: .35; user-select: none }
.c0 { --h: 210 } .c1 { --h: 95 } .c2 { --h: 40 } .c3 { --h: 350 } .c4 { --h: 270 } .c5 { --h: 175 }
`
