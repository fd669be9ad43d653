// Saves tokenizers that Heed imports from other formats as tokenizer.json, with the ids that Heed gives for the fixtures' texts,
// for verify_tokenizers.py: the small SentencePiece models and GGUF vocabulary of the fixtures, and files given by name.
// Run after `pnpm build`: node tooling/oracle/heed-tokenizers.mjs OUT [FILE.model|.tiktoken|.gguf|.txt|.bin ...]
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Tokenizer } from '../../packages/tokenizer/dist/index.js'

const [out, ...files] = process.argv.slice(2)
if (!out) throw new Error('usage: node tooling/oracle/heed-tokenizers.mjs OUT [FILE ...]')
const fixtures = new URL('../../packages/tokenizer/test/fixtures/', import.meta.url)
const readFixture = async name => JSON.parse(gunzipSync(await readFile(new URL(`${name}.json.gz`, fixtures))))

const texts = (await readFixture('byte-level-bpe')).cases.map(({ text }) => text)
await mkdir(join(out, 'imported'), { recursive: true })
for (const [name, { model }] of Object.entries(await readFixture('sentencepiece'))) {
  files.push(await written(`sentencepiece-${name}.model`, model))
}
files.push(await written('vocabulary.gguf', await readFixture('gguf-vocabulary')))

for (const file of files) {
  const tokenizer = await Tokenizer.fromFile(file)
  const name = `${basename(dirname(file))}+${basename(file)}`
  await tokenizer.save(join(out, name))
  const cases = texts.map(text => {
    const { ids } = tokenizer.encode(text)
    return { text, ids, decoded: tokenizer.decode(ids, { cleanUpTokenizationSpaces: false }) }
  })
  await writeFile(join(out, name, 'heed-expected.json'), JSON.stringify(cases))
}

async function written(name, base64) {
  const path = join(out, 'imported', name)
  await writeFile(path, Buffer.from(base64, 'base64'))
  return path
}
