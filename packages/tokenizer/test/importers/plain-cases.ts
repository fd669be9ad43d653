import { type OracleCase, readFixture, type TokenizerFixture } from '../fixture.ts'

interface JsonModel {
  readonly vocab: Readonly<Record<string, number>>
  readonly merges: readonly (readonly [string, string])[]
}

/** A fixture's tokenizer taken apart, for tests that write it in another format and read it back. */
export interface PlainFixture extends JsonModel {
  /** Tokens by ascending id; an object's keys would put those that are numbers first. */
  readonly tokens: readonly string[]
  /** The cases in whose text no added token stands. */
  readonly cases: readonly OracleCase[]
}

export function readPlainFixture(name: string): PlainFixture {
  const { tokenizer, cases } = readFixture<TokenizerFixture>(name)
  const { vocab, merges } = tokenizer.model as JsonModel
  const added = (tokenizer.added_tokens as { content: string }[]).map(({ content }) => content)
  return {
    vocab,
    merges,
    tokens: Object.keys(vocab).sort((a, b) => vocab[a]! - vocab[b]!),
    cases: cases.filter(({ text }) => !added.some(content => text.includes(content))),
  }
}
