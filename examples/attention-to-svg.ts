/** Draws which token looks at which: the attention of one layer of a BERT, a square for each head. */
import { writeFileSync } from 'node:fs'
import { AutoModel, init, Tokenizer, tf } from 'heed'

await init()
const folder = 'examples/models/countries-bert'
const tokenizer = await Tokenizer.fromPretrained(folder)
const model = await AutoModel.fromPretrained(folder, { onWarning: () => {} })

const { ids, tokens } = tokenizer.encode('Paris is the capital of France.')
const output = model.forward({ inputIds: [ids], outputAttentions: true })
const [heads] = (await output.attentions!.at(-1)!.array()) as number[][][][] // [numHeads][query][key]
tf.dispose(output)
model.dispose()

const [cell, gap, margin] = [18, 24, 60]
const side = tokens.length * cell
const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${x}" y="${y}" font-size="11" font-family="sans-serif" ${more}>${content}</text>`

const drawings = heads!.map((rows, head) => {
  const left = margin + head * (side + gap)
  const squares = rows.flatMap((row, query) =>
    row.map((weight, key) => {
      const place = `x="${left + key * cell}" y="${margin + query * cell}" width="${cell}" height="${cell}"`
      return `<rect ${place} fill="#1d4ed8" fill-opacity="${weight.toFixed(3)}"/>`
    }),
  )
  const keys = tokens.map((token, key) => {
    const [x, y] = [left + (key + 0.7) * cell, margin - 6]
    return text(x, y, token, `transform="rotate(-60 ${x} ${y})"`)
  })
  return [...squares, ...keys].join('\n')
})
const queries = tokens.map((token, i) => text(margin - 6, margin + (i + 0.7) * cell, token, 'text-anchor="end"'))
const [width, height] = [margin + heads!.length * (side + gap), margin + side + gap]
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}">
${[...queries, ...drawings].join('\n')}
</svg>\n`
writeFileSync('attention.svg', svg)
console.log(`attention.svg: ${heads!.length} heads of ${tokens.length} x ${tokens.length} tokens`)
