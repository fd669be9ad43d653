// Saves every tiny relative of LLaMA with Heed, with what Heed computes with it, for verify_folder.py.
// Run after `pnpm build`: node tooling/oracle/heed-family.mjs OUT && for d in OUT/*; do python tooling/oracle/verify_folder.py $d; done
import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AutoModelForCausalLM, init, tf, writeSafetensors } from '../../packages/heed/dist/index.js'

const out = process.argv[2]
if (!out) throw new Error('usage: node tooling/oracle/heed-family.mjs OUT')
const fixtures = join(import.meta.dirname, '../../packages/llama/test/fixtures')
const isModel = name => existsSync(join(fixtures, name, 'generation_config.json'))
const folders = readdirSync(fixtures).flatMap(name => [name, ...['grouped', 'tied'].map(part => join(name, part))])
const scalings = readdirSync(join(fixtures, 'rope-tiny')).map(name => join('rope-tiny', name))
const ids = [[4, 20, 9, 15, 30, 6, 11]]
const maxNewTokens = 8

await init()
for (const name of [...folders, ...scalings].filter(isModel)) {
  if (name === 'stories260K') continue
  const model = await AutoModelForCausalLM.fromPretrained(join(fixtures, name))
  const folder = join(out, name.replace('/', '-'))
  await model.savePretrained(folder)
  const logits = tf.tidy(() => tf.squeeze(model.forward({ inputIds: ids }).logits, [0]))
  await writeSafetensors(join(folder, 'heed-logits.safetensors'), { 0: logits })
  // Angles that change with the length make cached keys differ from those of one pass.
  const isFixed = !/dynamic|longrope/.test(name)
  const greedy = isFixed && { greedy: { maxNewTokens, ids: await model.generate(ids, { maxNewTokens }) } }
  await writeFile(
    join(folder, 'heed-expected.json'),
    JSON.stringify({ ids, logits: 'heed-logits.safetensors', ...greedy }),
  )
  tf.dispose(logits)
  model.dispose()
}
