import type { BenchCase } from './compare.ts'

const shapes: Array<[m: number, n: number, k: number]> = [
  [768, 768, 768],
  [1024, 3072, 768],
]

/** C = A · B, float32. */
export const matmulCases: BenchCase[] = shapes.map(([m, n, k]) => ({
  title: `matmul ${m}x${k} · ${k}x${n}`,
  task: { name: 'matmul', sizes: { m, n, k } },
  repeats: 15,
  rate: seconds => (2 * m * n * k) / seconds / 1e9,
  unit: 'GFLOP/s',
}))
