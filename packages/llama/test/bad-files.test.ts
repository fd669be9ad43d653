import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { llamaFormats, writeGgufModel } from '@heed/llama'
import { type GgufField, init, openGguf, type WritableGgmlTensor, writeGguf } from '@heed/tensor-backend'
import { loadTokenizer, openPretrained, registerCheckpointFormat } from '@heed/transformer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

registerCheckpointFormat(...llamaFormats)

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url))
let folder: string
let valid: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-bad-files-'))
  await init()
  valid = join(folder, 'valid.gguf')
  await writeGgufModel(valid, await openPretrained(join(fixtures, 'llama-tiny/grouped')))
})
afterAll(() => rm(folder, { recursive: true }))

async function refusal(path: string): Promise<[unknown, string]> {
  const error = await openPretrained(path).then(
    () => undefined,
    reason => reason,
  )
  return [error?.code, String(error?.message).replaceAll(folder, 'DIR')]
}

describe('a GGUF file whose numbers and tensors disagree is refused before a model is made', () => {
  const whole = (value: number): GgufField => ({ type: 'uint32', value })
  const texts = (value: string[]): GgufField => ({ type: 'string', value })

  test.each<[string, GgufField | undefined, string]>([
    [
      'general.architecture',
      { type: 'string', value: 'rwkv' },
      'general.architecture is "rwkv", expected one of llama, smollm3, qwen2, qwen3, qwen2moe, qwen3moe, gemma, gemma2, gemma3, phi3, olmo2.',
    ],
    [
      'llama.attention.head_count',
      undefined,
      'llama.attention.head_count is missing, expected a number. Convert the model anew.',
    ],
    [
      'llama.attention.head_count',
      { type: 'int32', value: [4, 2] },
      'llama.attention.head_count is [4,2], expected the same for all layers. This version does not serve models whose layers differ in it.',
    ],
    [
      'llama.block_count',
      whole(4_000_000_000),
      'llama.block_count is 4000000000, expected 2, the layers. The file is damaged.',
    ],
    [
      'llama.embedding_length',
      whole(2 ** 31),
      'llama.embedding_length is 2147483648, expected 32, the columns of token_embd.weight. The file is damaged.',
    ],
    [
      'llama.feed_forward_length',
      whole(0),
      'llama.feed_forward_length is 0, expected 40, the columns of blk.0.ffn_down.weight. The file is damaged.',
    ],
    [
      'llama.rope.scaling.type',
      { type: 'string', value: 'spiral' },
      'llama.rope.scaling.type is "spiral", expected none, linear, yarn, or longrope with its tensors.',
    ],
    [
      'llama.rope.dimension_count',
      whole(6),
      'llama.rope.dimension_count is 6, expected 8, the size of a head: heads of this architecture turn whole, in llama.cpp too. ' +
        'Keep such a model as an HF folder.',
    ],
    [
      'tokenizer.ggml.tokens',
      texts(Array.from({ length: 98 }, (_, i) => `t${i}`)),
      'tokenizer.ggml.tokens has 98 tokens, expected at most the 97 rows of token_embd.weight. The vocabulary is of another model.',
    ],
  ])('%s', async (key, field, message) => {
    const file = await openGguf(valid)
    const metadata = new Map(file.metadata)
    if (field) metadata.set(key, field)
    else metadata.delete(key)
    const tensors = new Map(
      [...file.tensors].map(([name, { type, shape }]) => [name, { type, shape, bytes: () => file.readRaw(name) }]),
    )
    const path = join(folder, 'changed.gguf')
    await writeGguf(path, { metadata, tensors })
    await file.close()
    expect(await refusal(path)).toEqual(['HEED_CONFIG_INVALID', `DIR/changed.gguf: ${message}`])
  })

  test('a file without a tokenizer, when one is asked for', async () => {
    await expect(loadTokenizer(valid)).rejects.toThrow(
      `${valid}: this model comes without a tokenizer, expected a folder with both. ` +
        `Make it, and load that: heed convert ${valid} <folder> --tokenizer <path>.`,
    )
  })

  test('rope divisors of the wrong number', async () => {
    const file = await openGguf(valid)
    const tensors = new Map<string, WritableGgmlTensor>(
      [...file.tensors].map(([name, { type, shape }]) => [name, { type, shape, bytes: () => file.readRaw(name) }]),
    )
    tensors.set('rope_freqs.weight', { type: 'F32', shape: [3], bytes: new Uint8Array(12) })
    const path = join(folder, 'divisors.gguf')
    await writeGguf(path, { metadata: file.metadata, tensors })
    await file.close()
    expect(await refusal(path)).toEqual([
      'HEED_CONFIG_INVALID',
      'DIR/divisors.gguf: tensor "rope_freqs.weight" has 3 numbers, expected 4, one for each pair of channels that turns. ' +
        'Convert the model anew.',
    ])
  })
})

describe('a llama2.c checkpoint that is damaged is refused, however many layers it claims', () => {
  const file = (...numbers: number[]) => Buffer.from(Int32Array.from(numbers).buffer)

  test.each([
    [
      'version 0',
      file(8, 16, 2, 2, 2, 10, 4, 0, 0),
      'it has 36 bytes, expected 5692 for a llama2.c checkpoint of version 0 with its sizes. The file is truncated or of another format.',
    ],
    [
      'millions of layers',
      file(8, 16, 2 ** 23, 2, 2, 10, 4),
      'it has 28 bytes, expected 22011707836 for a llama2.c checkpoint of version 0 with its sizes. The file is truncated or of another format.',
    ],
    ...(
      [
        ['nothing', file(), 'it has 0 bytes, expected at least 28'],
        ['part of a header', file(8, 16), 'it has 8 bytes, expected at least 28'],
        [
          'a width beyond all',
          file(2 ** 30, 16, 2, 2, 2, 10, 4),
          `dim is ${2 ** 30}, expected a number from 1 to 16777215`,
        ],
        [
          'fewer layers than none',
          file(8, 16, -2, 2, 2, 10, 4),
          'numLayers is -2, expected a number from 1 to 16777215',
        ],
        ['no words', file(8, 16, 2, 2, 2, 0, 4), 'vocabSize is 0, expected another number'],
        ['heads of no whole size', file(8, 16, 2, 3, 1, 10, 4), 'numHeads is 3, expected a divisor of dim (8)'],
        [
          'key heads of no group',
          file(9, 16, 2, 3, 2, 10, 4),
          'numKeyValueHeads is 2, expected a divisor of numHeads (3)',
        ],
        [
          'an unknown version',
          Buffer.concat([file(0x616b3432, 7), Buffer.alloc(248)]),
          'its version is 7, expected 1 or 2',
        ],
      ] as const
    ).map(([name, bytes, problem]): [string, Buffer, string] => [
      name,
      bytes,
      `${problem} as in the header of a llama2.c checkpoint. The file is damaged or of another format: of a model in an HF ` +
        'folder, give the folder.',
    ]),
    [
      'groups of nothing',
      Buffer.concat([file(0x616b3432, 2, 8, 16, 2, 2, 2, 10, 4), Buffer.alloc(220)]),
      'the group size is 0, expected a divisor of dim (8). The file is damaged.',
    ],
  ])('%s', async (_, bytes, message) => {
    const path = join(folder, 'model.bin')
    writeFileSync(path, bytes)
    expect(await refusal(path)).toEqual(['HEED_FILE_INVALID', `DIR/model.bin: ${message}`])
  })
})

const data = fileURLToPath(new URL('../../../../shared/data/C', import.meta.url))
const meta = join(data, 'pytorch+torchtune/tiny_fair_checkpoint.pt')
const reason = existsSync(meta) ? '' : ' (skipped: no ../shared/data/C)'

describe("parts of Meta's checkpoints that do not belong together are refused", () => {
  const other = fileURLToPath(new URL('../../tensor-backend/test/fixtures/files/torch/zip.pt', import.meta.url))
  const model = () => {
    const path = join(folder, 'meta')
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, 'params.json'), '{ "n_heads": 4 }')
    return path
  }

  test('no weights', async () => {
    expect(await refusal(model())).toEqual([
      'HEED_FILE_NOT_FOUND',
      'DIR/meta: there is a params.json and no consolidated.00.pth, expected both. Download the weights.',
    ])
  })

  test.skipIf(reason !== '')(`a part that is there twice, and one of another model${reason}`, async () => {
    const path = model()
    copyFileSync(meta, join(path, 'consolidated.00.pth'))
    copyFileSync(meta, join(path, 'consolidated.01.pth'))
    expect(await refusal(path)).toEqual([
      'HEED_FILE_INVALID',
      'DIR/meta: layers.0.attention.wq.weight has 64 rows in 2 files, expected 32. A file is there twice.',
    ])
    copyFileSync(other, join(path, 'consolidated.01.pth'))
    expect(await refusal(path)).toEqual([
      'HEED_FILE_INVALID',
      'DIR/meta/consolidated.01.pth: tensor "tok_embeddings.weight" is missing, expected [500, 32] as in ' +
        'DIR/meta/consolidated.00.pth. The files are of different models.',
    ])
  })
})
