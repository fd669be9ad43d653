import { HeedError } from '../errors.ts'
import type { NormalizedText } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
/** A cluster of more UTF-8 bytes is looked up character by character. */
const MAX_CLUSTER_BYTES = 5
const nonAscii = /[^\0-\x7f]/

/**
 * The replacement table that a SentencePiece model carries, a double-array trie over UTF-8 and the replacements.
 * Same steps as `Precompiled` of HF tokenizers, which reads `precompiled_charsmap` of sentencepiece.
 */
export class PrecompiledNormalizer implements Normalizer {
  private readonly trie: Uint32Array
  private readonly replacements: Uint8Array
  private readonly known = new Map<string, string | null>()
  private segmenter: Intl.Segmenter | undefined

  /** `charsmap` is base64. Throws HEED_CONFIG_INVALID. */
  constructor(readonly charsmap: string) {
    const bytes = decodeBase64(charsmap)
    const size = bytes.length >= 4 ? new DataView(bytes.buffer).getUint32(0, true) : Number.NaN
    if (!(size % 4 === 0 && size + 4 <= bytes.length)) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `Precompiled: precompiled_charsmap claims a table of ${size} bytes, expected a multiple of 4 below its ` +
          `${bytes.length} bytes. Convert the model again.`,
      )
    }
    const view = new DataView(bytes.buffer, 4, size)
    this.trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 * i, true))
    this.replacements = bytes.subarray(4 + size)
  }

  normalize(text: NormalizedText): NormalizedText {
    const changes: [string, number][] = []
    let isChanged = false
    const push = (part: string): boolean => {
      const replacement = this.lookup(part)
      if (replacement === null) return false
      isChanged = true
      pushReplacement(changes, [...part].length, [...replacement])
      return true
    }
    for (const cluster of this.clusters(text.text)) {
      if (cluster.length <= MAX_CLUSTER_BYTES && encoder.encode(cluster).length <= MAX_CLUSTER_BYTES && push(cluster)) {
        continue
      }
      for (const character of cluster) if (!push(character)) changes.push([character, 0])
    }
    if (!isChanged) return text
    const result = changes.map(([character]) => character).join('')
    return text.transform(result, () => [{ start: 0, end: text.text.length, characters: changes }])
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Precompiled', precompiled_charsmap: this.charsmap }
  }

  /** Grapheme clusters; in ASCII each character is one, but for a line break of two. */
  private *clusters(text: string): Generator<string> {
    if (!nonAscii.test(text)) {
      for (const [cluster] of text.matchAll(/\r\n|[\s\S]/g)) yield cluster
      return
    }
    this.segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' })
    for (const { segment } of this.segmenter.segment(text)) yield segment
  }

  private lookup(part: string): string | null {
    let replacement = this.known.get(part)
    if (replacement === undefined) {
      replacement = this.search(encoder.encode(part))
      if (this.known.size < 65536) this.known.set(part, replacement)
    }
    return replacement
  }

  /** The replacement of the shortest prefix in the table, as the reference takes it. */
  private search(key: Uint8Array): string | null {
    const { trie, replacements } = this
    let position = offsetOf(trie[0] ?? 0)
    for (const byte of key) {
      if (byte === 0) return null
      position ^= byte
      const unit = trie[position]
      if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return null
      position ^= offsetOf(unit)
      if ((unit >>> 8) & 1) {
        const start = (trie[position] ?? 0) & 0x7fffffff
        const end = replacements.indexOf(0, start)
        return decoder.decode(replacements.subarray(start, end < 0 ? undefined : end))
      }
    }
    return null
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6)
}

/** Replaces `oldCount` characters: surplus new ones are inserted at the end, missing ones dropped behind the last. */
function pushReplacement(changes: [string, number][], oldCount: number, replacement: readonly string[]): void {
  const surplus = replacement.length - oldCount
  for (const [i, character] of replacement.entries()) {
    changes.push([character, surplus > 0 && i >= oldCount ? 1 : 0])
  }
  const last = changes.at(-1)
  if (surplus < 0 && last) last[1] += surplus
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), character => character.charCodeAt(0))
  } catch (cause) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      'Precompiled: precompiled_charsmap is no base64 text, expected the table of a SentencePiece model. ' +
        'Convert the model again.',
      { cause },
    )
  }
}
