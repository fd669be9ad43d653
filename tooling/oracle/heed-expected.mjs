// Writes what Heed computes for a folder it saved, for `verify_folder.py` to compare with transformers.
// Run after a build: node tooling/oracle/heed-expected.mjs DIR
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AutoModelForCausalLM, init, Tokenizer, writeSafetensors } from '../../packages/heed/dist/index.js'

const [folder] = process.argv.slice(2)
const texts = [
  'ROMEO:\nO, she doth teach the torches to burn bright!',
  'naïve 你好 🎉 <|endoftext|> end',
  ' \n\n two  spaces',
]
const maxNewTokens = 20

await init()
const tokenizer = await Tokenizer.fromPretrained(folder)
const model = await AutoModelForCausalLM.fromPretrained(folder)
const ids = texts.map(text => [...tokenizer.encode(text).ids])
const logits = Object.fromEntries(
  ids.map((row, i) => {
    const output = model.forward({ inputIds: [row] })
    return [String(i), output.logits.squeeze([0])]
  }),
)
const continued = []
for (const row of ids) continued.push((await model.generate([row], { maxNewTokens, eosTokenId: [] }))[0])
await writeSafetensors(join(folder, 'heed-logits.safetensors'), logits)
writeFileSync(
  join(folder, 'heed-expected.json'),
  JSON.stringify({ texts, ids, logits: 'heed-logits.safetensors', greedy: { maxNewTokens, ids: continued } }),
)
