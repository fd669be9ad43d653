import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Tokenizer } from '@heed/tokenizer'
import { AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, init, tf } from 'heed'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareNeighbours } from '../src/inside/compare.ts'
import type { FlowItem } from '../src/inside/flow.ts'
import { type InsideModel, Inspection, type Pass } from '../src/inside/inspect.ts'
import { formulasOf } from '../src/inside/kinds.ts'
import { allParts, type Part } from '../src/inside/module-tree.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const models = {
  transformer: ['apps/demo/models/en-de-2017', AutoModelForSeq2SeqLM, 'The old dog sees the horse.'],
  bert: ['examples/models/countries-bert', AutoModelForMaskedLM, 'The capital of Japan is [MASK].'],
  gpt2: ['apps/demo/models/stories-gpt2', AutoModelForCausalLM, 'Once upon a time'],
  llama: ['packages/llama/test/fixtures/stories260K', AutoModelForCausalLM, 'Once upon a time'],
} as const
type Name = keyof typeof models

async function open(name: Name): Promise<Inspection> {
  const folder = join(root, models[name][0])
  const model = (await models[name][1].fromPretrained(folder)) as unknown as InsideModel
  return new Inspection(model, await Tokenizer.fromPretrained(folder))
}

beforeAll(() => init())

describe.each(Object.keys(models) as Name[])('inside %s', name => {
  let inspection: Inspection
  let pass: Pass
  let parts: Part[]
  beforeAll(async () => {
    inspection = await open(name)
    pass = await inspection.look(models[name][2])
    parts = Array.from(allParts(inspection.root))
  })
  afterAll(() => inspection.dispose())

  test('each module of the model is one part, and each class has a formula', () => {
    const modules = Array.from(inspection.model.namedModules(), ([, module]) => module)
    expect(new Set(inspection.tree.modules.filter(module => module !== undefined))).toEqual(new Set(modules))
    expect(parts.filter(({ className }) => className !== '').length).toBe(modules.length)
    expect(inspection.root.numParameters).toBe(inspection.model.numParameters)
    expect(parts.filter(part => formulasOf(part).length === 0)).toEqual([])
  })

  test('each part has its place in the picture of its parent, once', () => {
    for (const parent of parts.filter(({ children }) => children.length > 0)) {
      const { items, unused } = pass.flows.get(parent.id)!
      const placed = [...items.flatMap(({ part }) => part ?? []), ...unused]
      expect(placed.sort((a, b) => a - b)).toEqual(parent.children.map(({ id }) => id))
    }
  })

  test('the rows of every attention map sum to one', () => {
    for (const { layers, columns } of pass.attention) {
      const width = pass.sequences[columns]!.length
      for (const layer of layers) {
        for (let row = 0; row < layer.length; row += width) {
          const sum = layer.subarray(row, row + width).reduce((total, share) => total + share, 0)
          expect(sum).toBeCloseTo(1, 4)
        }
      }
    }
  })

  test('a pass leaves no tensor behind and the model as it was', async () => {
    const before = tf.memory().numTensors
    await inspection.look(models[name][2])
    expect(tf.memory().numTensors).toBe(before)
    expect(Object.keys(inspection.model)).not.toContain('forward')
  })
})

/** Items of a part in words: `part ← sources`. */
function flowOf({ root: tree }: Inspection, { flows }: Pass, path: string): string[] {
  const parts = Array.from(allParts(tree))
  const { items } = flows.get(parts.find(part => part.path === path && part.children.length > 0)!.id)!
  const nameOf = ({ part }: FlowItem): string =>
    part === undefined ? '+' : parts[part]!.name || parts[part]!.className
  return items.map(item => `${nameOf(item)} ← ${item.from.map(from => (from === 'in' ? from : nameOf(items[from]!)))}`)
}

test('the flow of a layer of LLaMA is that of its formula, both residual connections included', async () => {
  const llama = await open('llama')
  const pass = await llama.look('Once upon a time')
  expect(flowOf(llama, pass, 'model.layers.3')).toEqual([
    'input_layernorm ← in',
    'self_attn ← input_layernorm',
    '+ ← in,self_attn',
    'post_attention_layernorm ← +',
    'mlp ← post_attention_layernorm',
    '+ ← +,mlp',
  ])
  expect(flowOf(llama, pass, 'model.layers.3.self_attn')).toEqual([
    'q_proj ← in',
    'k_proj ← in',
    'v_proj ← in',
    'o_proj ← ',
  ])
  llama.dispose()
})

test("a decoder's attention to the encoder takes its keys from the encoder's last layer", async () => {
  const transformer = await open('transformer')
  const { flows } = await transformer.look('The old dog sees the horse.')
  const parts = Array.from(allParts(transformer.root))
  const attention = parts.find(({ path }) => path === 'decoder.layers.1.encoder_attn')!
  const outside = flows.get(attention.id)!.items.map(item => item.outside && parts[item.outside]!.path)
  expect(outside).toEqual([
    undefined,
    'encoder.layers.1.final_layer_norm',
    'encoder.layers.1.final_layer_norm',
    undefined,
  ])
  transformer.dispose()
})

test('the last row of the lens is what the model says, and BERT knows the capital', async () => {
  const bert = await open('bert')
  const { sequences, lens } = await bert.look('The capital of Japan is [MASK].')
  const place = sequences.source.findIndex(({ token }) => token === '[MASK]')
  const best = lens.at(-1)![place]![0]!
  expect(best.token).toBe('tokyo')
  const ids = sequences.source.map(({ id }) => id)
  const probability = tf.tidy(() => {
    const { logits } = (bert.model as Extract<InsideModel, { head: unknown }>).forward({ inputIds: [ids] })
    return tf.softmax(logits.slice([0, place, 0], [1, 1, -1]).reshape([-1])).dataSync()[best.id]!
  })
  expect(best.probability).toBeCloseTo(probability, 5)
  bert.dispose()
})

test('a text that is too long is refused', async () => {
  const bert = await open('bert')
  await expect(bert.look('paris '.repeat(100))).rejects.toThrow(
    'The text has 102 tokens, expected at most 32. Shorten it.',
  )
  bert.dispose()
})

test("LayerNorm centres each token and RMSNorm does not; LLaMA has no biases and half of GPT-2's heads of keys", async () => {
  const [gpt2, llama] = await Promise.all([open('gpt2'), open('llama')])
  const sides = await compareNeighbours({ gpt2: gpt2.model, llama: llama.model }, llama.tokenizer, 'Once upon a time')
  for (const { mean, rms } of sides.gpt2.norm.after) {
    expect(mean).toBeCloseTo(0, 4)
    expect(rms).toBeCloseTo(1, 1)
  }
  expect(Math.max(...sides.llama.norm.after.map(({ mean }) => Math.abs(mean)))).toBeGreaterThan(0.01)
  expect(sides.llama.biases.tensors).toBe(0)
  expect(sides.gpt2.biases.tensors).toBeGreaterThan(20)
  expect(sides.llama.heads.cachePerToken).toBe(sides.gpt2.heads.cachePerToken / 2)
  gpt2.dispose()
  llama.dispose()
})
