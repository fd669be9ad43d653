import { openAsBlob } from 'node:fs'
import { copyFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/files/checkpoint.ts'
import { openSafetensors } from '../../src/files/safetensors.ts'

const fixtures = fileURLToPath(new URL('../fixtures/files/', import.meta.url))
const single = join(fixtures, 'safetensors', 'model-float32.safetensors')
const sharded = join(fixtures, 'safetensors', 'sharded')
const shardNames = [
  'model-00001-of-00003.safetensors',
  'model-00002-of-00003.safetensors',
  'model-00003-of-00003.safetensors',
]
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-checkpoint-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function droppedFolder(): Promise<Map<string, Blob>> {
  const files = new Map<string, Blob>()
  for (const name of [...shardNames, 'model.safetensors.index.json']) {
    files.set(name, await openAsBlob(join(sharded, name)))
  }
  return files
}

test.each([
  ['a path', async () => sharded],
  ['a path with a slash', async () => `${sharded}/`],
  ['a URL', async () => pathToFileURL(sharded)],
  ['a Map of Blobs', droppedFolder],
  ['the path of one file', async () => single],
])('the weights of a model are the same from %s', async (_, locate) => {
  const checkpoint = await openCheckpoint(await locate())
  const oracle = await openSafetensors(single)
  expect([...checkpoint.tensors.keys()].sort()).toEqual([...oracle.tensors.keys()].sort())
  for (const name of oracle.tensors.keys()) {
    expect(checkpoint.tensors.get(name)).toMatchObject({ dtype: oracle.tensors.get(name)!.dtype })
    expect(await checkpoint.readRaw(name)).toEqual(await oracle.readRaw(name))
  }
  await checkpoint.close()
  await oracle.close()
})

test('safetensors are preferred to a pickle beside them', async () => {
  await copyFile(join(fixtures, 'torch', 'malicious.pt'), join(folder, 'pytorch_model.bin'))
  await copyFile(single, join(folder, 'model.safetensors'))
  const checkpoint = await openCheckpoint(folder)
  expect(checkpoint.tensors.has('lm_head.weight')).toBe(true)
  await checkpoint.close()
})

test('pytorch_model.bin is read where there is nothing else', async () => {
  await copyFile(join(fixtures, 'torch', 'zip.pt'), join(folder, 'pytorch_model.bin'))
  const checkpoint = await openCheckpoint(folder)
  expect(checkpoint.tensors.get('model.transposed')).toMatchObject({ dtype: 'F32', shape: [8, 6] })
  await checkpoint.close()
})

test('a folder without weights is not found', async () => {
  await expect(openCheckpoint(folder)).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message:
      `${folder}: there are no weights, expected one of model.safetensors, model.safetensors.index.json, ` +
      'pytorch_model.bin, pytorch_model.bin.index.json. Check the folder.',
  })
})

test('what is no folder is told from a folder without weights', async () => {
  const missing = join(folder, 'missing')
  await expect(openCheckpoint(missing)).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message: `${missing}: there is no such file or folder. Check the path.`,
  })
  const file = join(folder, 'notes.txt')
  await writeFile(file, 'words')
  await expect(openCheckpoint(file)).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message: `${file}: this, or a folder on the way to it, is a file, expected a folder. Check the path.`,
  })
})

test('a missing shard is named', async () => {
  await cp(sharded, folder, { recursive: true })
  await rm(join(folder, shardNames[1]!))
  await expect(openCheckpoint(folder)).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message: `${folder}: model.safetensors.index.json: shard "${shardNames[1]}" is missing from the folder. Download it again.`,
  })
})

test('a shard without a tensor that the index promises is refused', async () => {
  const files = await droppedFolder()
  files.set(shardNames[2]!, files.get(shardNames[0]!)!)
  await expect(openCheckpoint(files)).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message:
      `folder: model.safetensors.index.json: weight_map says tensor "lm_head.weight" is in "${shardNames[2]}", ` +
      'expected it there. The files are of different saves.',
  })
})

test('an unknown name is refused', async () => {
  const checkpoint = await openCheckpoint(sharded)
  await expect(checkpoint.read('nose')).rejects.toMatchObject({
    code: 'HEED_ARGUMENT_INVALID',
    message: `${sharded}: there is no tensor "nose" among its 8, which begin "model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.bias".`,
  })
  await checkpoint.close()
})
