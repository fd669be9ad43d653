// Writes into a folder what Heed makes of it, for verify_folder.py: ids of texts, logits, greedy continuations.
// Run after `pnpm build`: node tooling/oracle/heed-expected.mjs DIR [TEXT...]
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AutoModelForCausalLM, init, Tokenizer, tf, writeSafetensors } from '../../packages/heed/dist/index.js'

const [folder, ...given] = process.argv.slice(2)
if (!folder) throw new Error('usage: node tooling/oracle/heed-expected.mjs DIR [TEXT...]')
const texts =
  given.length > 0 ? given : ['Once upon a time', ' two  spaces\nand a line', 'naïve café 東京 🙂', 'ROMEO:']
const maxNewTokens = 20

await init()
const model = await AutoModelForCausalLM.fromPretrained(folder)
const tokenizer = await Tokenizer.fromPretrained(folder)
const ids = texts.map(text => Array.from(tokenizer.encode(text).ids))
const logits = Object.fromEntries(
  ids.map((row, i) => [String(i), tf.tidy(() => tf.squeeze(model.forward({ inputIds: [row] }).logits, [0]))]),
)
await writeSafetensors(join(folder, 'heed-logits.safetensors'), logits)
const greedy = []
for (const row of ids) greedy.push(...(await model.generate([row], { maxNewTokens, doSample: false })))
const expected = { texts, ids, logits: 'heed-logits.safetensors', greedy: { maxNewTokens, ids: greedy } }
await writeFile(join(folder, 'heed-expected.json'), JSON.stringify(expected))
