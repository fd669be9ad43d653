import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

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

export interface TokenizerFixture {
  readonly tokenizer: Record<string, unknown>
  readonly cases: readonly OracleCase[]
}

/** A fixture of this folder by its name. */
export function readFixture<T>(name: string): T {
  const path = new URL(`./fixtures/${name}.json.gz`, import.meta.url)
  return JSON.parse(gunzipSync(readFileSync(path)).toString('utf8'))
}
