import { HeedError } from '@heed/tensor-backend'
import type { Expression, Grammar } from './grammar.ts'
import { checkLeftRecursion } from './left-recursion.ts'
import { utf8Ranges } from './utf8.ts'

/** A place in a rule. */
interface Node {
  /** Bytes that lead on from here. */
  bytes: [first: number, last: number, target: Node][]
  /** Places that are the same as this one. */
  same: Node[]
  /** Rules that may begin here, and where it goes on after them. */
  calls: [rule: string, after: Node][]
  isEnd: boolean
}

/** A place, and the places to go on from when its rule has ended. Frames that are equal are the same object. */
interface Frame {
  id: number
  node: Node
  parent: Frame | undefined
}

/** Where a text that follows the grammar has come to: every reading of it that is still open. */
export interface MatchState {
  frames: readonly Frame[]
  /** Whether the text may end here. */
  isComplete: boolean
  /** The state after each byte, as far as it is known; null when no text goes on so. */
  next: (MatchState | null | undefined)[]
}

/** Nodes of all rules; a grammar beyond is a mistake, such as a bound of millions on a repetition. */
const MAX_NODES = 100_000
/** States are forgotten beyond, to be made again when they come up. */
const MAX_STATES = 4096

/**
 * Runs a grammar over bytes: each rule a finite automaton that may call others, with a stack of returns; sets of such positions
 * are made into states as texts reach them (the subset construction, lazily), so that a byte costs one look-up once it was seen.
 */
export class Automaton {
  readonly #starts = new Map<string, Node>()
  readonly #root: string
  #frames = new Map<string, Frame>()
  #states = new Map<string, MatchState>()
  #numFrames = 0
  #numNodes = 0

  /** Throws HEED_ARGUMENT_INVALID when a rule is missing or calls itself before anything else, or the grammar is too large. */
  constructor({ root, rules }: Grammar) {
    checkLeftRecursion(root, rules)
    this.#root = root
    for (const [name, expression] of rules) {
      const start = this.#node()
      this.#starts.set(name, start)
      this.#add(expression, start).isEnd = true
    }
  }

  /** The state of an empty text. */
  get start(): MatchState {
    return this.#stateOf([this.#frame(this.#starts.get(this.#root)!, undefined)])
  }

  /** The state after one more byte; null when no text goes on so. */
  step(state: MatchState, byte: number): MatchState | null {
    const known = state.next[byte]
    if (known !== undefined) return known
    const targets: Frame[] = []
    for (const { node, parent } of state.frames) {
      for (const [first, last, target] of node.bytes) {
        if (byte >= first && byte <= last) targets.push(this.#frame(target, parent))
      }
    }
    const found = targets.length === 0 ? null : this.#stateOf(targets)
    state.next[byte] = found
    return found
  }

  #node(): Node {
    this.#numNodes += 1
    if (this.#numNodes > MAX_NODES) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `grammar: it has more than ${MAX_NODES} places, expected fewer. Lower the bounds of its repetitions.`,
      )
    }
    return { bytes: [], same: [], calls: [], isEnd: false }
  }

  /** Builds what an expression allows from a node on; gives the node behind it. Thompson's construction. */
  #add(expression: Expression, from: Node): Node {
    switch (expression.kind) {
      case 'text':
        return this.#addBytes(
          Array.from(new TextEncoder().encode(expression.text), byte => [byte, byte] as const),
          from,
        )
      case 'chars': {
        const to = this.#node()
        for (const bytes of expression.ranges.flatMap(utf8Ranges)) this.#addBytes(bytes, from, to)
        return to
      }
      case 'rule': {
        const to = this.#node()
        from.calls.push([expression.name, to])
        return to
      }
      case 'sequence':
        return expression.parts.reduce((node, part) => this.#add(part, node), from)
      case 'choice': {
        const to = this.#node()
        for (const option of expression.options) {
          const begin = this.#node()
          from.same.push(begin)
          this.#add(option, begin).same.push(to)
        }
        return to
      }
      case 'repeat':
        return this.#addRepeat(expression, from)
    }
  }

  #addBytes(ranges: readonly (readonly [first: number, last: number])[], from: Node, to?: Node): Node {
    let node = from
    for (const [i, [first, last]] of ranges.entries()) {
      const target = to && i === ranges.length - 1 ? to : this.#node()
      node.bytes.push([first, last, target])
      node = target
    }
    return node
  }

  #addRepeat({ of, min, max }: Extract<Expression, { kind: 'repeat' }>, from: Node): Node {
    let node = from
    for (let i = 0; i < min; i++) node = this.#add(of, node)
    if (max === Number.POSITIVE_INFINITY) {
      const loop = this.#node()
      node.same.push(loop)
      this.#add(of, loop).same.push(loop)
      const to = this.#node() // apart from the loop, so that what comes next cannot lead back into it
      loop.same.push(to)
      return to
    }
    const to = this.#node()
    for (let i = min; i < max; i++) {
      node.same.push(to)
      const begin = this.#node()
      node.same.push(begin)
      node = this.#add(of, begin)
    }
    node.same.push(to)
    return to
  }

  #frame(node: Node, parent: Frame | undefined): Frame {
    const key = `${this.#idOf(node)} ${parent?.id ?? ''}`
    let frame = this.#frames.get(key)
    if (!frame) {
      frame = { id: this.#numFrames++, node, parent }
      this.#frames.set(key, frame)
    }
    return frame
  }

  readonly #nodeIds = new Map<Node, number>()

  #idOf(node: Node): number {
    let id = this.#nodeIds.get(node)
    if (id === undefined) {
      id = this.#nodeIds.size
      this.#nodeIds.set(node, id)
    }
    return id
  }

  /** The state of these frames and all that are the same: into calls, and back from ends. */
  #stateOf(begin: readonly Frame[]): MatchState {
    const all = new Set(begin)
    let isComplete = false
    for (const { node, parent } of all) {
      for (const same of node.same) all.add(this.#frame(same, parent))
      for (const [name, after] of node.calls) {
        // A rule whose end is this rule's end needs no return to here: lists by recursion keep a flat stack.
        const back = endsAt(after) ? parent : this.#frame(after, parent)
        all.add(this.#frame(this.#starts.get(name)!, back))
      }
      if (!node.isEnd) continue
      if (parent) all.add(parent)
      else isComplete = true
    }
    const frames = [...all].filter(({ node }) => node.bytes.length > 0).sort((a, b) => a.id - b.id)
    const key = `${frames.map(({ id }) => id).join()}${isComplete ? ' end' : ''}`
    let state = this.#states.get(key)
    if (!state) {
      if (this.#states.size >= MAX_STATES) this.#forget()
      state = { frames, isComplete, next: Array(256) }
      this.#states.set(key, state)
    }
    return state
  }

  #forget(): void {
    this.#states = new Map()
    this.#frames = new Map()
  }
}

/** Whether nothing but the end of the rule comes after a node. */
function endsAt(node: Node): boolean {
  let at = node
  while (at.bytes.length === 0 && at.calls.length === 0 && at.same.length <= 1) {
    if (at.isEnd) return at.same.length === 0
    if (at.same.length === 0) return false
    at = at.same[0]!
  }
  return false
}
