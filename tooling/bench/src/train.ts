import type { BenchCase } from './compare.ts'

interface TrainShape {
  layers: number
  heads: number
  hiddenSize: number
  seqLen: number
  batch: number
  vocabSize: number
}

/** nanoGPT's own recipe for a CPU, and its recipe for Shakespeare on a GPU with a batch that a CPU can bear. */
const shapes: Array<[shape: TrainShape, repeats: number]> = [
  [{ layers: 4, heads: 4, hiddenSize: 128, seqLen: 64, batch: 12, vocabSize: 65 }, 10],
  [{ layers: 6, heads: 6, hiddenSize: 384, seqLen: 256, batch: 8, vocabSize: 65 }, 1],
]

/** One step: forward, backward, clipping to norm 1, AdamW. */
export const trainCases: BenchCase[] = shapes.map(([shape, repeats]) => ({
  title: `train ${shape.layers} layers, ${shape.heads} heads, ${shape.hiddenSize} wide, context ${shape.seqLen}, batch ${shape.batch}`,
  task: { name: 'train', sizes: { ...shape } },
  repeats,
  rate: seconds => (shape.batch * shape.seqLen) / seconds,
  unit: 'tokens/s',
}))
