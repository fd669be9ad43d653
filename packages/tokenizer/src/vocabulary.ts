import { HeedError } from './errors.ts'

/** A file that claims id 4,000,000,000 must not make an array of that length; real vocabularies end far below. */
const MAX_ID = 2 ** 24

/** Tokens and ids, each found by the other. Ids may have gaps. */
export class Vocabulary {
  private constructor(
    private readonly ids: Map<string, number>,
    private readonly tokens: (string | undefined)[],
    private readonly count: number,
  ) {}

  /**
   * `where` names the file or part for messages.
   * Throws HEED_CONFIG_INVALID if an id is no integer of 32 bits or two tokens share one.
   */
  static from(entries: Iterable<readonly [token: string, id: number]>, where: string): Vocabulary {
    const ids = new Map<string, number>()
    const tokens: (string | undefined)[] = []
    for (const [token, id] of entries) {
      if (!Number.isInteger(id) || id < 0 || id >= MAX_ID) {
        throw new HeedError(
          'HEED_CONFIG_INVALID',
          `${where}: the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}, expected an integer from 0 to ${MAX_ID - 1}. ` +
            'Correct the vocabulary.',
        )
      }
      const other = tokens[id]
      if (other !== undefined) {
        throw new HeedError(
          'HEED_CONFIG_INVALID',
          `${where}: the id ${id} is given to both ${JSON.stringify(other)} and ${JSON.stringify(token)}, ` +
            'expected one token for each id. Give one of them another id.',
        )
      }
      tokens[id] = token
      ids.set(token, id)
    }
    return new Vocabulary(ids, tokens, ids.size)
  }

  /** Token i has id i; of equal tokens the last is found. */
  static fromTokens(tokens: readonly string[]): Vocabulary {
    return new Vocabulary(new Map(tokens.map((token, id) => [token, id])), tokens.slice(), tokens.length)
  }

  /** Number of ids. */
  get size(): number {
    return this.count
  }

  idOf(token: string): number | undefined {
    return this.ids.get(token)
  }

  tokenOf(id: number): string | undefined {
    return this.tokens[id]
  }

  /** `[token, id]` by ascending id. */
  *entries(): Generator<[string, number]> {
    for (const [id, token] of this.tokens.entries()) if (token !== undefined) yield [token, id]
  }

  /** As files write it: one key a token, by ascending id. */
  toJSON(): Record<string, number> {
    return Object.fromEntries(this.entries())
  }
}
