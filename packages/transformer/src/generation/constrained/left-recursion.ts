import { HeedError } from '@heed/tensor-backend'
import type { Expression } from './grammar.ts'

type Rules = ReadonlyMap<string, Expression>

function invalid(message: string): HeedError {
  return new HeedError('HEED_ARGUMENT_INVALID', `grammar: ${message}`)
}

/** Throws HEED_ARGUMENT_INVALID when a rule is missing, or could call itself before it has read anything. */
export function checkLeftRecursion(root: string, rules: Rules): void {
  if (!rules.has(root)) throw invalid(`there is no rule ${root}, expected one to begin with. Add it.`)
  const nullable = nullableRules(rules)
  const done = new Set<string>()
  const open: string[] = []
  function visit(name: string): void {
    if (done.has(name)) return
    const at = open.indexOf(name)
    if (at >= 0) {
      const way = [...open.slice(at), name].join(' -> ')
      throw invalid(
        `rule ${name} begins with itself (${way}), expected something before it. Turn the recursion around.`,
      )
    }
    open.push(name)
    for (const callee of firstCalls(rules.get(name)!, nullable)) visit(callee)
    open.pop()
    done.add(name)
  }
  for (const [name, expression] of rules) {
    for (const callee of calls(expression)) {
      if (!rules.has(callee)) throw invalid(`rule ${name} names ${callee}, expected a rule that there is. Add it.`)
    }
  }
  for (const name of rules.keys()) visit(name)
}

/** The parts of an expression. */
function partsOf(expression: Expression): readonly Expression[] {
  if (expression.kind === 'sequence') return expression.parts
  if (expression.kind === 'choice') return expression.options
  return expression.kind === 'repeat' ? [expression.of] : []
}

function calls(expression: Expression): string[] {
  return expression.kind === 'rule' ? [expression.name] : partsOf(expression).flatMap(calls)
}

/** The rules that can be called before anything was read. */
function firstCalls(expression: Expression, nullable: ReadonlySet<string>): string[] {
  if (expression.kind !== 'sequence') {
    return expression.kind === 'rule'
      ? [expression.name]
      : partsOf(expression).flatMap(part => firstCalls(part, nullable))
  }
  const end = expression.parts.findIndex(part => !canBeEmpty(part, nullable))
  const parts = end < 0 ? expression.parts : expression.parts.slice(0, end + 1)
  return parts.flatMap(part => firstCalls(part, nullable))
}

function canBeEmpty(expression: Expression, nullable: ReadonlySet<string>): boolean {
  switch (expression.kind) {
    case 'text':
      return expression.text === ''
    case 'chars':
      return false
    case 'rule':
      return nullable.has(expression.name)
    case 'sequence':
      return expression.parts.every(part => canBeEmpty(part, nullable))
    case 'choice':
      return expression.options.some(option => canBeEmpty(option, nullable))
    case 'repeat':
      return expression.min === 0 || canBeEmpty(expression.of, nullable)
  }
}

function nullableRules(rules: Rules): Set<string> {
  const nullable = new Set<string>()
  for (let size = -1; size < nullable.size; ) {
    size = nullable.size
    for (const [name, expression] of rules) if (canBeEmpty(expression, nullable)) nullable.add(name)
  }
  return nullable
}
