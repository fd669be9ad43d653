// Saves every model of the test fixtures again, with what Heed computes with it, for verify_saved.py: in one file, in shards, in bfloat16.
// Run after `pnpm build`: node tooling/oracle/heed-saved.mjs OUT
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as llama from '../../packages/llama/dist/index.js'
import { init, readSafetensors, tf, writeSafetensors } from '../../packages/tensor-backend/dist/index.js'
import * as transformer from '../../packages/transformer/dist/index.js'

const [out] = process.argv.slice(2)
if (!out) throw new Error('usage: node tooling/oracle/heed-saved.mjs OUT')
const root = new URL('../..', import.meta.url).pathname
const architectures = Object.entries({ ...transformer, ...llama }).flatMap(([name, value]) =>
  name.endsWith('Architectures') && Array.isArray(value) ? value : [],
)
const kinds = { whole: {}, shards: { maxShardSize: '4KB' }, bfloat16: { dtype: 'BF16' } }

await init()
for (const name of ['transformer', 'llama']) {
  const fixtures = join(root, 'packages', name, 'test/fixtures')
  const files = await readdir(fixtures, { recursive: true })
  for (const folder of files.filter(file => file.endsWith('expected.safetensors')).map(dirname)) {
    const config = JSON.parse(await readFile(join(fixtures, folder, 'config.json'), 'utf8'))
    const { cases } = JSON.parse(await readFile(join(fixtures, folder, 'expected.json'), 'utf8'))
    const entry = architectures.find(({ architecture }) => architecture === config.architectures[0])
    for (const [kind, options] of Object.entries(kinds)) {
      const model = await transformer.loadPretrained(join(fixtures, folder), entry.load)
      const saved = join(out, `${folder.replaceAll('/', '+')}-${kind}`)
      await model.savePretrained(saved, options)
      model.dispose()
      // Read back, so that the numbers are those of what stands in the files.
      const again = await transformer.loadPretrained(saved, entry.load)
      const tensors = await readSafetensors(join(fixtures, folder, 'expected.safetensors'))
      const inputs = Object.fromEntries(Object.entries(cases[0].inputs).map(([key, tensor]) => [key, tensors[tensor]]))
      const outputs = again.forward(inputs)
      const single = Object.entries(outputs).filter(([, value]) => !Array.isArray(value))
      const written = { ...prefixed('input', Object.entries(inputs)), ...prefixed('output', single) }
      await writeSafetensors(join(saved, 'heed.safetensors'), written)
      tf.dispose([tensors, outputs])
      again.dispose()
    }
  }
}

function prefixed(prefix, entries) {
  return Object.fromEntries(entries.map(([key, value]) => [`${prefix}.${key}`, value]))
}
