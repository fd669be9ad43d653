import type { Decoder } from './decoder.ts'

/** Decoders one after the other. */
export class SequenceDecoder implements Decoder {
  constructor(readonly decoders: readonly Decoder[]) {}

  decodeChain(tokens: readonly string[]): string[] {
    return this.decoders.reduce((current, decoder) => decoder.decodeChain(current), [...tokens])
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Sequence', decoders: this.decoders.map(decoder => decoder.toJSON()) }
  }
}
