import { emit } from './emit.ts'
import type { Node } from './syntax.ts'

/** One character of each kind that patterns of tokenizers tell apart; two sets that share one of them overlap. */
const samples: readonly string[] = [
  ...Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)),
  ...'\u0085\u00a0\u00aa\u00b2\u00bd\u00df\u00e9\u00c9\u01c5\u02b0\u0301\u0488\u0661\u0903\u05d0\u0623\u0905\u0e01\u1100',
  ...'\u200b\u200d\u2028\u2029\u2160\u2019\u20ac\u2212\u2581\u3000\u3001\u3042\u30a2\u30fc\u4e2d\uac00\ue000\ufe0f\ufeff\u{1f600}\u{20000}\u{e0001}',
]

/** More neighbouring repetitions of one character than this take cubic time and worse on long runs of it. */
const MAX_ADJACENT_REPEATS = 3

/**
 * Why a pattern may take exponential or high polynomial time on some text, or undefined.
 * An unbounded repetition is safe if each of its rounds begins with a character that tells the round apart.
 */
export function findDanger(node: Node): string | undefined {
  switch (node.kind) {
    case 'raw':
    case 'class':
      return undefined
    case 'group':
    case 'atomic':
      return findDanger(node.body)
    case 'choice':
      return firstDanger(node.nodes)
    case 'sequence':
      return firstDanger(node.nodes) ?? dangerOfNeighbours(node.nodes)
    case 'repeat':
      return findDanger(node.body) ?? (node.max > MAX_ROUNDS ? dangerOfRounds(node.body) : undefined)
  }
}

/** A group repeated at most so often is taken as bounded. */
const MAX_ROUNDS = 16

function firstDanger(nodes: readonly Node[]): string | undefined {
  for (const node of nodes) {
    const danger = findDanger(node)
    if (danger !== undefined) return danger
  }
  return undefined
}

function dangerOfRounds(body: Node): string | undefined {
  if (isCharacter(body)) return undefined
  const branches = branchesOf(body)
  const firsts = branches.map(branch => firstCharacter(branch))
  if (firsts.includes(undefined)) {
    return branches.some(hasUnbounded) || branches.length > 1
      ? 'a repetition inside a repetition can match the same text in many ways'
      : undefined
  }
  for (const [i, branch] of branches.entries()) {
    const isAmbiguous = branches.some((_, k) => k < i && overlaps(firsts[i]!, firsts[k]!))
    if (isAmbiguous) return 'two branches of a repetition can match the same text'
    const inner = unboundedCharacters(branch)
    if (inner.some(set => firsts.some(first => overlaps(set, first!)))) {
      return 'a repetition inside a repetition can match the same text in many ways'
    }
  }
  return undefined
}

function dangerOfNeighbours(nodes: readonly Node[]): string | undefined {
  let run: Node[] = []
  for (const node of nodes) {
    if (node.kind === 'repeat' && node.max === Infinity && isCharacter(node.body)) {
      run = [...run.filter(body => overlaps(body, node.body)), node.body]
      if (run.length > MAX_ADJACENT_REPEATS) return 'many neighbouring repetitions can match the same text'
    } else if (!(node.kind === 'repeat' && node.min === 0)) run = []
  }
  return undefined
}

function isCharacter(node: Node): boolean {
  return node.kind === 'class' || (node.kind === 'raw' && node.isCharacter)
}

function branchesOf(node: Node): readonly Node[] {
  if (node.kind === 'group' && !node.open.startsWith('(?=') && !node.open.startsWith('(?!'))
    return branchesOf(node.body)
  return node.kind === 'choice' ? node.nodes.flatMap(branchesOf) : [node]
}

/** The set that the first character of every match is of, if the node says so plainly. */
function firstCharacter(node: Node): Node | undefined {
  if (isCharacter(node)) return node
  if (node.kind === 'sequence') return node.nodes[0] && firstCharacter(node.nodes[0])
  if (node.kind === 'group' && node.open === '(?:') return firstCharacter(node.body)
  if (node.kind === 'repeat' && node.min > 0 && node.max !== Infinity) return firstCharacter(node.body)
  return undefined
}

function children(node: Node): readonly Node[] {
  if (node.kind === 'sequence' || node.kind === 'choice') return node.nodes
  return node.kind === 'group' || node.kind === 'atomic' || node.kind === 'repeat' ? [node.body] : []
}

function hasUnbounded(node: Node): boolean {
  return (node.kind === 'repeat' && node.max > MAX_ROUNDS) || children(node).some(hasUnbounded)
}

function unboundedCharacters(node: Node): Node[] {
  if (node.kind === 'repeat' && node.max > MAX_ROUNDS && isCharacter(node.body)) return [node.body]
  return children(node).flatMap(unboundedCharacters)
}

function overlaps(a: Node, b: Node): boolean {
  const [first, second] = [a, b].map(node => new RegExp(`^${emit(node, () => '')}$`, 'v'))
  return samples.some(sample => first!.test(sample) && second!.test(sample))
}
