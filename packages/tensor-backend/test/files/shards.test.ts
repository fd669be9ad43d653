import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { readShardedIndex, writeShardedSafetensors } from '../../src/files/safetensors/shards.ts'
import { readSafetensors } from '../../src/files/safetensors.ts'
import { tf } from '../../src/tf.ts'

const fixtures = fileURLToPath(new URL('../fixtures/files/safetensors/', import.meta.url))
/** The order of the model's own state dict, which the oracle split. */
const names = [
  'model.embed_tokens.weight',
  'model.layers.0.mlp.up_proj.weight',
  'model.layers.0.mlp.up_proj.bias',
  'model.layers.10.norm.weight',
  'model.layers.2.norm.weight',
  'position_ids',
  'mask',
  'lm_head.weight',
]
let folder: string
beforeAll(() => tf.setBackend('cpu'))
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-shards-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function withModel(use: (tensors: Record<string, tf.Tensor>) => Promise<void>): Promise<void> {
  const tensors = await readSafetensors(join(fixtures, 'model-float32.safetensors'), { names })
  await use(tensors)
  tf.dispose(tensors)
}

test('shards are split, named and filled, byte for byte, as by huggingface_hub', () =>
  withModel(async tensors => {
    const written = await writeShardedSafetensors(folder, tensors, { maxShardSize: 700 })
    expect([...written].sort()).toEqual((await readdir(join(fixtures, 'sharded'))).sort())
    for (const name of written.filter(name => name.endsWith('.safetensors'))) {
      expect((await readFile(join(folder, name))).equals(await readFile(join(fixtures, 'sharded', name)))).toBe(true)
    }
    const index = await readShardedIndex(join(folder, 'model.safetensors.index.json'))
    const oracle = await readShardedIndex(join(fixtures, 'sharded', 'model.safetensors.index.json'))
    expect(new Map([...index.weightMap].sort())).toEqual(new Map([...oracle.weightMap].sort()))
    expect(index.metadata).toEqual({ total_parameters: 376, total_size: oracle.metadata.total_size })
  }))

test('a later save removes the files of an earlier one that it does not replace, and no other', () =>
  withModel(async tensors => {
    await writeFile(join(folder, 'config.json'), '{}')
    await writeFile(join(folder, 'model_of_mine.safetensors'), '')
    await writeShardedSafetensors(folder, tensors, { maxShardSize: '0.7KB' })
    expect(await readdir(folder)).toHaveLength(6)
    expect(await writeShardedSafetensors(folder, tensors)).toEqual(['model.safetensors'])
    expect((await readdir(folder)).sort()).toEqual(['config.json', 'model.safetensors', 'model_of_mine.safetensors'])
    await writeShardedSafetensors(folder, tensors, { maxShardSize: '1KB' })
    expect((await readdir(folder)).sort()).toEqual([
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'model_of_mine.safetensors',
    ])
  }))

test('a save that fails in its second shard leaves the earlier save as it was', () =>
  withModel(async tensors => {
    await writeShardedSafetensors(folder, tensors)
    const before = await readFile(join(folder, 'model.safetensors'))
    const broken = { ...tensors, 'lm_head.weight': { dtype: 'F32', shape: [200], bytes: new Uint8Array(1) } as const }
    await expect(writeShardedSafetensors(folder, broken, { maxShardSize: 700 })).rejects.toMatchObject({
      code: 'HEED_SHAPE_MISMATCH',
    })
    expect(await readdir(folder)).toEqual(['model.safetensors'])
    expect((await readFile(join(folder, 'model.safetensors'))).equals(before)).toBe(true)
  }))

test.each(['5 apples', '', '-1', '0', 0, Number.NaN])('maxShardSize %j is refused', async maxShardSize => {
  await expect(writeShardedSafetensors(folder, {}, { maxShardSize })).rejects.toMatchObject({
    code: 'HEED_ARGUMENT_INVALID',
    message:
      `writeShardedSafetensors: maxShardSize is ${Number.isNaN(maxShardSize) ? 'NaN' : JSON.stringify(maxShardSize)}, ` +
      "expected a positive number of bytes, or a string like '5GB'.",
  })
})

test.each([
  ['[]', 'buffer: weight_map is undefined, expected an object of file names.'],
  ['{"weight_map":[]}', 'buffer: weight_map is [], expected an object of file names.'],
  [
    '{"weight_map":{"a":"../../secret"}}',
    'buffer: weight_map "a" is "../../secret", expected the name of a file in the same folder.',
  ],
  ['{"weight_map":{"a":7}}', 'buffer: weight_map "a" is 7, expected the name of a file in the same folder.'],
  ['{"weight_map":{"a":"x","a":"y"}}', 'buffer: key "a" appears twice, expected each key once.'],
  ['{', 'buffer: text is "{", expected JSON. The file is damaged.'],
])('the index %s is refused', async (json, message) => {
  const index = new TextEncoder().encode(json)
  await expect(readShardedIndex(index)).rejects.toMatchObject({ code: 'HEED_FILE_INVALID', message })
})
