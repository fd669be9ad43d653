import type { Automaton, MatchState } from './automaton.ts'

/**
 * The tokens of a vocabulary by their bytes, as a tree in pre-order: what one beginning forbids, it forbids for all tokens that
 * share it.
 */
export class VocabularyTrie {
  /** Of each node: its byte, how deep it lies, and where the next node outside its branch stands. */
  readonly #bytes: Uint8Array
  readonly #depths: Uint16Array
  readonly #skips: Int32Array
  /** The tokens that end at node i: from starts[i] to starts[i + 1] in ids. */
  readonly #starts: Int32Array
  readonly #ids: Int32Array
  readonly #maxDepth: number
  /** One more than the highest id. */
  readonly numIds: number

  constructor(tokens: Iterable<readonly [id: number, bytes: Uint8Array]>) {
    const sorted = Array.from(tokens)
      .filter(([, bytes]) => bytes.length > 0)
      .sort(([, a], [, b]) => compareBytes(a, b))
    const bytes: number[] = []
    const depths: number[] = []
    const skips: number[] = []
    const starts: number[] = []
    const ids: number[] = []
    const path: number[] = [] // the nodes from the root to the last one
    let before = new Uint8Array()
    for (const [id, token] of sorted) {
      let shared = 0
      while (shared < before.length && before[shared] === token[shared]) shared += 1
      for (const node of path.splice(shared)) skips[node] = bytes.length
      for (let depth = shared; depth < token.length; depth++) {
        path.push(bytes.length)
        bytes.push(token[depth]!)
        depths.push(depth)
        starts.push(ids.length)
      }
      ids.push(id)
      before = token as Uint8Array<ArrayBuffer>
    }
    for (const node of path) skips[node] = bytes.length
    starts.push(ids.length)
    this.#bytes = Uint8Array.from(bytes)
    this.#depths = Uint16Array.from(depths)
    this.#skips = Int32Array.from(skips)
    this.#starts = Int32Array.from(starts)
    this.#ids = Int32Array.from(ids)
    this.#maxDepth = depths.reduce((a, b) => Math.max(a, b), 0)
    this.numIds = ids.reduce((a, b) => Math.max(a, b), -1) + 1
  }

  /** 1 for each id whose token may come next, [numIds]. */
  allowed(automaton: Automaton, state: MatchState): Uint8Array {
    const mask = new Uint8Array(this.numIds)
    const states = Array<MatchState>(this.#maxDepth + 2)
    states[0] = state
    for (let node = 0; node < this.#bytes.length; ) {
      const depth = this.#depths[node]!
      const next = automaton.step(states[depth]!, this.#bytes[node]!)
      if (!next) {
        node = this.#skips[node]!
        continue
      }
      states[depth + 1] = next
      for (let i = this.#starts[node]!; i < this.#starts[node + 1]!; i++) mask[this.#ids[i]!] = 1
      node += 1
    }
    return mask
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}
