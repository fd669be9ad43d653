/**
 * How data flows between the parts of a model, found by comparing what went into each part with what came out of others:
 * equal numbers are a line, a sum of two or three earlier tensors is a residual connection.
 */
import { allParts, type Part } from './module-tree.ts'
import type { Call, Seen } from './watch.ts'

/** The input of the parent, or an item of it by number. */
export type Source = 'in' | number

/** A part in the picture of its parent, or a sum between parts. */
export interface FlowItem {
  /** Undefined for a sum. */
  part: number | undefined
  /** From top to bottom; items of a row do not wait for each other. */
  row: number
  /** Empty where what comes in is made between the parts, from all of the row above. */
  from: Source[]
  /** The part elsewhere in the model whose output comes in here: the encoder's, in the decoder's attention to it. */
  outside: number | undefined
}

export interface PartFlow {
  items: FlowItem[]
  /** Parts that this pass did not use. */
  unused: number[]
  /** Lines between neighbours that reach deep into the second: from an encoder to a decoder. */
  across: Array<{ from: number; to: number }>
}

interface Known {
  value: Seen
  from: Source[]
  /** The first row that may use it. */
  row: number
  outside?: number
}

/** What goes into a part first and comes out of it last, and when. */
interface Ends {
  input?: Seen | undefined
  output?: Seen | undefined
  order: number
}

const isEqual = (a: Seen, b: Seen): boolean =>
  a.values.length === b.values.length && a.dtype === b.dtype && a.values.every((x, i) => x === b.values[i])

/** Whether x is the sum of terms, but for rounding. */
function isSum(x: Seen, terms: readonly Known[]): boolean {
  return x.values.every((value, i) => {
    const sum = terms.reduce((total, term) => total + term.value.values[i]!, 0)
    const size = terms.reduce((total, term) => total + Math.abs(term.value.values[i]!), 0)
    return Math.abs(value - sum) <= 1e-5 * size
  })
}

/** Every choice of `count` of the items, later ones first. */
function* choices<T>(items: readonly T[], count: number): Generator<T[]> {
  if (count === 0) return yield []
  for (let i = items.length - 1; i >= count - 1; i--) {
    for (const rest of choices(items.slice(0, i), count - 1)) yield [...rest, items[i]!]
  }
}

/** The earlier tensors that x is the sum of. */
function termsOf(x: Seen, known: readonly Known[]): Known[] | undefined {
  const alike = known.filter(({ value }) => value.values.length === x.values.length && value.dtype === 'float32')
  const distinct = alike.filter(({ value }, i) => !alike.slice(i + 1).some(later => isEqual(later.value, value)))
  for (const count of [2, 3]) {
    for (const terms of choices(distinct, count)) if (isSum(x, terms)) return terms
  }
  return undefined
}

/** The flow inside each part that has children, by part. */
export function flowOf(root: Part, calls: readonly Call[]): Map<number, PartFlow> {
  const firstCalls = new Map<number, Ends>()
  for (const [order, { part, input, output }] of calls.entries()) {
    if (!firstCalls.has(part)) firstCalls.set(part, { input, output, order })
  }
  const endsOf = (part: Part): Ends | undefined => {
    const own = firstCalls.get(part.id)
    if (own) return own
    const inner = part.children.map(endsOf).filter(ends => ends !== undefined)
    if (inner.length === 0) return undefined
    return { input: inner[0]!.input, output: inner.at(-1)!.output, order: Math.max(...inner.map(({ order }) => order)) }
  }
  const parents = Array.from(allParts(root)).filter(({ children }) => children.length > 0)
  return new Map(parents.map(parent => [parent.id, flowIn(parent, firstCalls, endsOf)]))
}

function flowIn(
  parent: Part,
  firstCalls: ReadonlyMap<number, Ends>,
  endsOf: (part: Part) => Ends | undefined,
): PartFlow {
  const isList = parent.className === ''
  const within = new Set(Array.from(allParts(parent), ({ id }) => id))
  const used = parent.children.flatMap(part => {
    const ends = endsOf(part)
    return ends ? [{ part, ...ends }] : []
  })
  if (!isList) used.sort((a, b) => a.order - b.order)
  const items: FlowItem[] = []
  const across: PartFlow['across'] = []
  const own = endsOf(parent)
  const known: Known[] = own?.input?.dtype === 'float32' ? [{ value: own.input, from: ['in'], row: 0 }] : []
  const place = (item: FlowItem, output: Seen | undefined): void => {
    items.push(item)
    if (output) known.push({ value: output, from: [items.length - 1], row: item.row + 1 })
  }
  const numRows = (): number => Math.max(0, ...items.map(({ row }) => row + 1))

  /** Where a value comes from: an earlier value, a sum, for which an item is placed, or another place of the model. */
  const trace = (value: Seen, order: number): Known | undefined => {
    const same = known.findLast(one => isEqual(one.value, value))
    if (same) return same
    const terms = termsOf(value, known)
    if (terms) {
      const row = Math.max(...terms.map(term => term.row), numRows())
      place({ part: undefined, row, from: terms.flatMap(({ from }) => from), outside: undefined }, value)
      return known.at(-1)
    }
    for (const [part, { output, order: made }] of firstCalls) {
      if (within.has(part) || made >= order || !output || !isEqual(output, value)) continue
      known.push({ value, from: [], row: 0, outside: part })
      return known.at(-1)
    }
    return undefined
  }

  /** Items whose output goes into something inside a part. */
  const reachedInside = (part: Part): number[] => {
    const inputs = Array.from(allParts(part)).flatMap(({ id }) => firstCalls.get(id)?.input ?? [])
    const sources = inputs.flatMap(input => known.findLast(one => isEqual(one.value, input))?.from ?? [])
    return [...new Set(sources.filter(source => source !== 'in'))]
  }

  for (const { part, input, output, order } of used) {
    const lastItem = items.at(-1)
    const isBesideLast =
      (lastItem?.part !== undefined && part.className === '' && isListOf(parent, lastItem.part)) ?? false
    const found = input?.dtype === 'float32' ? trace(input, order) : undefined
    const inner = reachedInside(part)
    if (part.className === '') {
      // a list waits for what goes into its first module only
      const row = found?.row ?? (isBesideLast ? lastItem!.row : numRows())
      for (const from of inner) if (!found?.from.includes(from)) across.push({ from, to: items.length })
      place({ part: part.id, row, from: found?.from ?? [], outside: undefined }, output)
      continue
    }
    const startsAnew = input === undefined || input.dtype === 'int32'
    const from = [...new Set([...(found?.from ?? []), ...inner])]
    const rowOfInner = Math.max(0, ...inner.map(source => items[source]!.row + 1))
    const row =
      found || inner.length > 0 ? Math.max(found?.row ?? 0, rowOfInner) : startsAnew ? (lastItem?.row ?? 0) : numRows()
    if (input?.dtype === 'float32' && !found) known.push({ value: input, from, row })
    place({ part: part.id, row: isList ? numRows() : row, from, outside: found?.outside }, output)
  }
  if (own?.output && !isList) trace(own.output, own.order)
  const usedIds = new Set(used.map(({ part }) => part.id))
  return { items, unused: parent.children.filter(({ id }) => !usedIds.has(id)).map(({ id }) => id), across }
}

const isListOf = (parent: Part, id: number): boolean => parent.children.find(child => child.id === id)?.className === ''
