import type { BenchCase } from './compare.ts'

interface TrainShape {
  architecture: 'llama' | 'gpt2'
  layers: number
  heads: number
  hiddenSize: number
  seqLen: number
  batch: number
  vocabSize: number
  /** Steps per turn. */
  repeats: number
}

/** By name: nanoGPT's recipe for a CPU, its recipe for Shakespeare on a GPU with a batch that a CPU can bear, GPT-2 itself. */
const shapes: Record<string, TrainShape> = {
  nanogpt: {
    architecture: 'llama',
    layers: 4,
    heads: 4,
    hiddenSize: 128,
    seqLen: 64,
    batch: 12,
    vocabSize: 65,
    repeats: 10,
  },
  '6x384': {
    architecture: 'llama',
    layers: 6,
    heads: 6,
    hiddenSize: 384,
    seqLen: 256,
    batch: 8,
    vocabSize: 65,
    repeats: 1,
  },
  'gpt2-124m': {
    architecture: 'gpt2',
    layers: 12,
    heads: 12,
    hiddenSize: 768,
    seqLen: 256,
    batch: 2,
    vocabSize: 50257,
    repeats: 1,
  },
}

/** One step: forward, backward, clipping to norm 1, AdamW. */
export const trainCases: BenchCase[] = Object.entries(shapes).map(([name, { architecture, repeats, ...sizes }]) => ({
  title:
    `train ${name}: ${architecture}, ${sizes.layers} layers, ${sizes.heads} heads, ${sizes.hiddenSize} wide, ` +
    `context ${sizes.seqLen}, batch ${sizes.batch}, vocabulary ${sizes.vocabSize}`,
  task: { name: 'train', kind: architecture, sizes },
  repeats,
  rate: seconds => (sizes.batch * sizes.seqLen) / seconds,
  unit: 'tokens/s',
  countsMemory: true,
}))
