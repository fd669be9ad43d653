import { completeMetaspace, type MetaspaceOptions, metaspaceJson } from '../pre-tokenizers/metaspace.ts'
import type { Decoder } from './decoder.ts'

/** Turns visible spaces back into spaces, without those that were put in front of the text. */
export class MetaspaceDecoder implements Decoder {
  readonly options: Required<MetaspaceOptions>

  constructor(options: MetaspaceOptions = {}) {
    this.options = completeMetaspace(options)
  }

  decodeChain(tokens: readonly string[]): string[] {
    const { replacement, prependScheme } = this.options
    return tokens.map((token, i) => token.replaceAll(replacement, i === 0 && prependScheme !== 'never' ? '' : ' '))
  }

  toJSON(): Record<string, unknown> {
    return metaspaceJson(this.options)
  }
}
