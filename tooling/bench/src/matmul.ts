import type { BenchCase } from './compare.ts'

const shapes: Array<[m: number, n: number, k: number]> = [
  [768, 768, 768],
  [1024, 3072, 768],
  [1024, 768, 3072],
]

/** C = A · B, float32. */
const productCases = shapes.map(
  ([m, n, k]): BenchCase => ({
    title: `matmul ${m}x${k} · ${k}x${n}`,
    task: { name: 'matmul', kind: 'plain', sizes: { m, n, k } },
    repeats: 15,
    rate: seconds => (2 * m * n * k) / seconds / 1e9,
    unit: 'GFLOP/s',
  }),
)

// The head of GPT-2, and a feed-forward layer of LLaMA 7B: neither fits a cache.
const vectorShapes: Array<[n: number, k: number]> = [
  [50257, 768],
  [11008, 4096],
]

/** y = x · Wᵀ for one x, as in decoding, and y = x · W: as fast as W is read. */
const vectorCases = vectorShapes.flatMap(([n, k]) =>
  (['transposed', 'plain'] as const).map(
    (kind): BenchCase => ({
      title: kind === 'transposed' ? `matvec ${k} · (${n}x${k})ᵀ` : `matvec ${k} · ${k}x${n}`,
      task: { name: 'matmul', kind, sizes: { m: 1, n, k } },
      repeats: 60,
      rate: seconds => (4 * n * k) / seconds / 1e9,
      unit: 'GB/s',
    }),
  ),
)

export const matmulCases: BenchCase[] = [...productCases, ...vectorCases]
