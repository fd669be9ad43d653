import { HeedError } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import type { LogitsProcessor } from '../logits-processors.ts'
import { type TokenBytes, tokenBytes } from '../token-bytes.ts'
import { Automaton, type MatchState } from './automaton.ts'
import { parseGbnf } from './gbnf.ts'
import { type Grammar, otherThan, repeat, sequence } from './grammar.ts'
import { jsonSchemaGrammar } from './json-schema.ts'
import { parseRegex } from './regex.ts'
import type { JsonSchema } from './schema-keywords.ts'
import { VocabularyTrie } from './vocabulary-trie.ts'

const tries = new WeakMap<Tokenizer, VocabularyTrie>()

/** The vocabulary as a tree, without special tokens, which write nothing. */
function trieOf(tokenizer: Tokenizer, bytes: TokenBytes): VocabularyTrie {
  let trie = tries.get(tokenizer)
  if (!trie) {
    const special = new Set(tokenizer.addedTokens.filter(token => token.special).map(({ id }) => id))
    trie = new VocabularyTrie([...bytes].filter(([id]) => !special.has(id)))
    tries.set(tokenizer, trie)
  }
  return trie
}

/**
 * Keeps what a model writes within a grammar: at each step only tokens that lead on are left, and the end of text only where the
 * text is complete. Which tokens those are is worked out once for each state of the grammar, so that one constraint serves many
 * generations. Willard & Louf 2023 (arXiv:2307.09702), over bytes and with a stack.
 */
export class Constraint {
  readonly #automaton: Automaton
  readonly #bytes: TokenBytes
  readonly #trie: VocabularyTrie
  readonly #masks = new WeakMap<MatchState, Uint8Array>()

  constructor(grammar: Grammar, tokenizer: Tokenizer) {
    this.#automaton = new Automaton(grammar)
    this.#bytes = tokenBytes(tokenizer)
    this.#trie = trieOf(tokenizer, this.#bytes)
  }

  /** JSON that is valid by a schema; `true` for any JSON. Throws HEED_ARGUMENT_INVALID. */
  static fromJsonSchema(schema: JsonSchema, tokenizer: Tokenizer): Constraint {
    return new Constraint(jsonSchemaGrammar(schema), tokenizer)
  }

  /** A grammar in GBNF, the notation of llama.cpp. Throws HEED_ARGUMENT_INVALID. */
  static fromGrammar(gbnf: string, tokenizer: Tokenizer): Constraint {
    return new Constraint(parseGbnf(gbnf), tokenizer)
  }

  /** Texts in which a regular expression is found; with ^ and $, which match it whole. Throws HEED_ARGUMENT_INVALID. */
  static fromRegex(pattern: RegExp | string, tokenizer: Tokenizer): Constraint {
    const flag = typeof pattern === 'string' ? undefined : /[^dgu]/.exec(pattern.flags)?.[0]
    if (flag) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `regex: ${pattern} has the flag ${flag}, expected none but d, g and u. Write what it means into the pattern, such as [Aa] for i.`,
      )
    }
    const { expression, ...anchors } = parseRegex(typeof pattern === 'string' ? pattern : pattern.source)
    const any = repeat({ kind: 'chars', ranges: otherThan([]) }, 0, Number.POSITIVE_INFINITY)
    const parts = [anchors.isAnchoredAtStart ? [] : [any], [expression], anchors.isAnchoredAtEnd ? [] : [any]]
    return new Constraint({ root: 'root', rules: new Map([['root', sequence(...parts.flat())]]) }, tokenizer)
  }

  /** Whether a text follows the grammar to its end. */
  accepts(text: string): boolean {
    return this.#after(this.#automaton.start, new TextEncoder().encode(text))?.isComplete ?? false
  }

  /** Whether a text can be written on so that it follows the grammar. */
  acceptsBeginning(text: string): boolean {
    return this.#after(this.#automaton.start, new TextEncoder().encode(text)) !== null
  }

  /** Forbids what leads out of the grammar after the prompt. It throws HEED_ARGUMENT_INVALID when no token leads on. */
  processor(promptLength: number, eosTokenIds: readonly number[]): LogitsProcessor {
    return (scores, ids) => {
      const state = this.#stateAfter(ids.slice(promptLength))
      if (!state) return // the text has ended, or left the grammar by a token that was forced
      const mask = this.#maskOf(state)
      const ends = eosTokenIds.map(id => scores[id]!)
      let canGoOn = state.isComplete
      for (let id = 0; id < scores.length; id++) {
        if (mask[id] === 1) canGoOn = true
        else scores[id] = Number.NEGATIVE_INFINITY
      }
      for (const [i, id] of eosTokenIds.entries()) {
        scores[id] = state.isComplete ? ends[i]! : Number.NEGATIVE_INFINITY
      }
      if (!canGoOn) {
        throw new HeedError(
          'HEED_ARGUMENT_INVALID',
          'constraint: no token of the vocabulary leads on, expected it to spell every text of the grammar. Allow other characters.',
        )
      }
    }
  }

  #stateAfter(ids: readonly number[]): MatchState | null {
    let state: MatchState | null = this.#automaton.start
    for (const id of ids) {
      const bytes = this.#bytes.get(id)
      state = state && bytes ? this.#after(state, bytes) : null
    }
    return state
  }

  #after(from: MatchState, bytes: Uint8Array): MatchState | null {
    let state: MatchState | null = from
    for (const byte of bytes) {
      if (!state) return null
      state = this.#automaton.step(state, byte)
    }
    return state
  }

  #maskOf(state: MatchState): Uint8Array {
    let mask = this.#masks.get(state)
    if (!mask) {
      mask = this.#trie.allowed(this.#automaton, state)
      this.#masks.set(state, mask)
    }
    return mask
  }
}
