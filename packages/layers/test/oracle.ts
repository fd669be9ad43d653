import { readFileSync } from 'node:fs'
import type { RopeParameters } from '@heed/layers'

interface Oracle {
  multiHeadAttention: {
    state: Record<string, number[]>
    x: number[]
    memory: number[]
    padding: number[][]
    output: number[]
    weights: number[]
    xGradient: number[]
  }
  rope: Array<{ parameters: Record<string, number | string>; inverse: number[]; attentionFactor: number }>
  sinusoidal: { halves: number[] }
  random: number[]
}

export const oracle: Oracle = JSON.parse(readFileSync(new URL('fixtures/layers.json', import.meta.url), 'utf8'))

/** HF's snake_case rope parameters in our camelCase. */
export function camelCased(parameters: Record<string, number | string>): RopeParameters {
  const entries = Object.entries(parameters).map(([key, value]) => [
    key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ])
  return Object.fromEntries(entries)
}
