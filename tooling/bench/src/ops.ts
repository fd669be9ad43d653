import type { BenchCase } from './compare.ts'
import type { TensorTask } from './contestant.ts'

/** Each fused operation at the sizes GPT-2 has for 4 texts of 256 tokens. */
const ops: Record<string, TensorTask['sizes']> = {
  linear: { rows: 1024, inFeatures: 768, outFeatures: 768 },
  linearGelu: { rows: 1024, inFeatures: 768, outFeatures: 3072 },
  layerNorm: { rows: 1024, hiddenSize: 768 },
  rmsNorm: { rows: 1024, hiddenSize: 768 },
  rotary: { batch: 4, seqLen: 256, heads: 12, headDim: 64 },
  attention: { batch: 4, seqLen: 256, heads: 12, headDim: 64 },
  swiGlu: { rows: 1024, hiddenSize: 2048 },
  gelu: { rows: 1024, hiddenSize: 3072 },
  geluTanh: { rows: 1024, hiddenSize: 3072 },
  silu: { rows: 1024, hiddenSize: 3072 },
  dropout: { rows: 1024, hiddenSize: 768 },
  embedding: { rows: 1024, vocabSize: 50257, hiddenSize: 768 },
  crossEntropy: { rows: 512, vocabSize: 50257 },
  softmax: { rows: 3072, hiddenSize: 256 },
  adamW: { parameters: 12, size: 589_824 },
}

/** An operation and its gradient; for AdamW a clipped step. */
export const opsCases: BenchCase[] = Object.entries(ops).map(([kind, sizes]) => ({
  title: `op ${kind} ${Object.values(sizes).join('x')}`,
  task: { name: 'op', kind, sizes },
  repeats: 15,
  rate: seconds => 1000 * seconds,
  unit: 'ms',
}))
