// Trains a LoRA adapter on each small model of the trainer's fixtures and saves it in PEFT's layout, with what Heed computes
// with it, for verify_adapter.py.
// Run after `pnpm build`: node tooling/oracle/heed-adapter.mjs OUT
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AutoModelForCausalLM, AutoModelForMaskedLM } from '../../packages/heed/dist/index.js'
import { init, tf, writeSafetensors } from '../../packages/tensor-backend/dist/index.js'
import { LoraModel, Trainer } from '../../packages/trainer/dist/index.js'

const [out] = process.argv.slice(2)
if (!out) throw new Error('usage: node tooling/oracle/heed-adapter.mjs OUT')
const fixtures = new URL('../../packages/trainer/test/fixtures/', import.meta.url).pathname
const models = {
  llama: { load: AutoModelForCausalLM, targetModules: ['q_proj', 'v_proj', 'gate_proj', 'down_proj'], labelShift: 1 },
  gpt2: { load: AutoModelForCausalLM, targetModules: ['c_attn', 'c_fc'], labelShift: 1 },
  bert: { load: AutoModelForMaskedLM, targetModules: ['query', 'value', 'output.dense'], taskType: '', labelShift: 0 },
}

await init()
for (const [name, { load, labelShift, ...options }] of Object.entries(models)) {
  const folder = join(fixtures, `trajectory-${name}`)
  const { batches } = JSON.parse(await readFile(join(folder, 'trajectory.json'), 'utf8'))
  const trainDataset = { length: batches.length, get: index => batches[index][0] }
  const array = rows => ({ values: Int32Array.from(rows.flat()), shape: [rows.length, rows[0].length] })
  const collator = ([batch]) => ({
    inputs: Object.fromEntries(Object.entries(batch).map(([key, rows]) => [key, array(rows)])),
    labelShift,
  })
  for (const useRslora of [false, true]) {
    const model = await load.fromPretrained(folder)
    const adapted = new LoraModel(model, { r: 4, loraAlpha: 16, loraDropout: 0.1, useRslora, ...options })
    const args = { maxSteps: 20, learningRate: 1e-2, perDeviceTrainBatchSize: 1 }
    await new Trainer({ model: adapted, args, trainDataset, collator }).train()
    const saved = join(out, `${name}${useRslora ? '-rslora' : ''}`)
    await adapted.savePretrained(saved)
    const { labels: _, ...first } = batches[0][0]
    const inputs = Object.fromEntries(
      Object.entries(first).map(([key, rows]) => [key, tf.tensor(rows, undefined, 'int32')]),
    )
    const { logits } = adapted.forward(inputs)
    const { logits: plain } = adapted.detach().forward(inputs)
    await writeSafetensors(join(saved, 'heed.safetensors'), { ...inputs, logits, plain })
    tf.dispose([inputs, logits, plain])
    model.dispose()
  }
}
