import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tf } from '@heed/tensor-backend'
import { Gpt2LMHeadModel, gpt2Config, loadPretrained } from '@heed/transformer'
import { testOnBackends } from '@heed/transformer/testing'
import { afterAll, beforeAll, expect } from 'vitest'

/** What a GPT-2 with eight layers of this width keeps: 400 MB in float32, beside which what waits for the garbage collector is little. */
const width = 1024
const NUM_LAYERS = 8
const shapes: Record<string, number[]> = { wte: [64, width], wpe: [16, width] }
const layerShapes: Record<string, number[]> = {
  'attn.c_attn': [width, 3 * width],
  'attn.c_proj': [width, width],
  'mlp.c_fc': [width, 4 * width],
  'mlp.c_proj': [4 * width, width],
}

let folder: string

/** A model folder whose tensors are all zeros: a hole in a file, which takes no room on the disk. */
async function writeFolder(dtype: 'F32' | 'BF16'): Promise<number> {
  const config = { model_type: 'gpt2', n_embd: width, n_layer: NUM_LAYERS, n_head: 16, n_positions: 16, vocab_size: 64 }
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, architectures: ['GPT2LMHeadModel'] }))
  const tensors: Record<string, number[]> = {}
  for (const [key, shape] of Object.entries(shapes)) tensors[`transformer.${key}.weight`] = shape
  for (const norm of [
    'ln_f',
    ...Array.from({ length: NUM_LAYERS }).flatMap((_, i) => [`h.${i}.ln_1`, `h.${i}.ln_2`]),
  ]) {
    for (const kind of ['weight', 'bias']) tensors[`transformer.${norm}.${kind}`] = [width]
  }
  for (let i = 0; i < NUM_LAYERS; i++) {
    for (const [key, shape] of Object.entries(layerShapes)) {
      tensors[`transformer.h.${i}.${key}.weight`] = shape
      tensors[`transformer.h.${i}.${key}.bias`] = shape.slice(1)
    }
  }
  const header: Record<string, unknown> = {}
  const bytes = dtype === 'F32' ? 4 : 2
  let offset = 0
  for (const [key, shape] of Object.entries(tensors)) {
    const end = offset + bytes * shape.reduce((a, b) => a * b)
    header[key] = { dtype, shape, data_offsets: [offset, end] }
    offset = end
  }
  const text = JSON.stringify(header)
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const start = Buffer.alloc(8)
  start.writeBigUInt64LE(BigInt(padded.length))
  const file = await open(join(folder, 'model.safetensors'), 'w')
  await file.write(Buffer.concat([start, padded]))
  await file.truncate(8 + padded.length + offset)
  await file.close()
  return (4 / bytes) * offset
}

/** Bytes of memory of this process, now or at the highest since `resetPeak`. Linux only. */
async function memoryOf(kind: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8')
  return 1024 * Number(new RegExp(`${kind}:\\s+(\\d+) kB`).exec(status)![1])
}
const resetPeak = (): Promise<void> => writeFile('/proc/self/clear_refs', '5')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-memory-'))
})
afterAll(() => rm(folder, { recursive: true }))

// One load on each backend: a second one would take the blocks that the first has given back.
for (const [dtype, backend] of [
  ['F32', 'native'],
  ['BF16', 'wasm'],
] as const) {
  testOnBackends(
    `loading 400 MB of weights from ${dtype} takes at most 1.3 times as much memory`,
    async ({ skip }) => {
      const weights = await writeFolder(dtype)
      await resetPeak().catch(error => skip(`the peak of memory is known on Linux only: ${error}`))
      const before = await memoryOf('VmRSS')
      const model = await loadPretrained(
        folder,
        (config, source) => new Gpt2LMHeadModel(gpt2Config.fromHf(config, source)),
      )
      const peak = (await memoryOf('VmHWM')) - before
      expect(tf.memory().numBytes).toBeGreaterThanOrEqual(weights)
      expect(peak / weights).toBeGreaterThan(0.9)
      expect(peak / weights).toBeLessThan(1.3)
      model.dispose()
    },
    [backend],
  )
}
