import { type Comparison, compareNeighbours } from '../inside/compare.ts'
import { Inspection, isInsideModel, type Pass } from '../inside/inspect.ts'
import type { Part } from '../inside/module-tree.ts'
import type { Seen } from '../inside/watch.ts'
import { startBackend } from './backend.ts'
import { openModel } from './open-model.ts'

export type InsideName = 'transformer' | 'bert' | 'gpt2' | 'llama'

/** The tensors of a part: its parameters, and of each of its calls what went in and came out. */
export interface PartTensors {
  parameters: Array<Seen & { name: string }>
  calls: Array<{ input: Seen | undefined; output: Seen | undefined; activation: string | undefined }>
}

/** Models by name, opened once. */
const opened = new Map<InsideName, Promise<Inspection>>()

async function open(name: InsideName, files: File[]): Promise<Inspection> {
  await startBackend()
  const { model, tokenizer } = await openModel({ files })
  if (!isInsideModel(model))
    throw new Error(`${name}: its class is ${model.architecture}, which this page cannot draw.`)
  return new Inspection(model, tokenizer)
}

export const inside = {
  /** Opens a model, unless it is open, and gives its parts. */
  async open(name: InsideName, files: File[]): Promise<Part> {
    let inspection = opened.get(name)
    if (!inspection) {
      inspection = open(name, files)
      opened.set(name, inspection)
      inspection.catch(() => opened.delete(name))
    }
    return (await inspection).root
  },

  isOpen(name: InsideName): boolean {
    return opened.has(name)
  },

  async look(name: InsideName, text: string): Promise<Pass> {
    return (await opened.get(name)!).look(text)
  },

  /** What a part computed in the last pass. */
  async tensorsOf(name: InsideName, part: number): Promise<PartTensors> {
    const { tree, calls } = await opened.get(name)!
    const module = tree.modules[part]
    const own = module ? Array.from(module.ownParameters()) : []
    const parameters = own.map(async ([key, tensor]) => ({
      name: key,
      shape: [...tensor.shape],
      dtype: tensor.dtype,
      values: (await tensor.data()) as Float32Array,
    }))
    return {
      parameters: await Promise.all(parameters),
      calls: calls
        .filter(call => call.part === part)
        .map(({ input, output, activation }) => ({ input, output, activation })),
    }
  },

  /** LLaMA beside GPT-2; both are open. */
  async compare(text: string): Promise<Comparison> {
    const [gpt2, llama] = await Promise.all([opened.get('gpt2')!, opened.get('llama')!])
    return compareNeighbours({ gpt2: gpt2.model, llama: llama.model }, llama.tokenizer, text)
  },
}

export type InsideWorker = typeof inside
