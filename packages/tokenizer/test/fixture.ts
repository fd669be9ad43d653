import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { EncodeOptions } from '../src/tokenizer.ts'
import type { Padding } from '../src/truncation.ts'

export interface OracleCase {
  readonly text: string
  readonly ids: number[]
  readonly tokens: string[]
  readonly offsets: [number, number][]
  readonly typeIds: number[]
  readonly attentionMask: number[]
  readonly specialTokensMask: number[]
  readonly wordIds: (number | null)[]
  readonly sequenceIds: (number | null)[]
  readonly decoded: string
  readonly decodedSpecial: string
}

/** Options of `encode` and what HF gave for them; null where HF refuses. */
export interface OracleVariant {
  readonly text: string | string[]
  readonly options: EncodeOptions
  readonly expected: Record<string, unknown> | null
}

export interface OracleBatch {
  readonly texts: string[]
  readonly padding: Padding
  readonly expected: Record<string, unknown>[]
}

export interface TokenizerFixture {
  readonly tokenizer: Record<string, unknown>
  readonly cases: readonly OracleCase[]
  readonly variants: readonly OracleVariant[]
  readonly batches: readonly OracleBatch[]
}

/** A fixture of this folder by its name. */
export function readFixture<T>(name: string): T {
  const path = new URL(`./fixtures/${name}.json.gz`, import.meta.url)
  return JSON.parse(gunzipSync(readFileSync(path)).toString('utf8'))
}
