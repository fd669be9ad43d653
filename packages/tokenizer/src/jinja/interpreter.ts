import { type Environment, Interpreter, type Node, parse, type Value } from './library.ts'
import { strip, textMethods } from './texts.ts'
import {
  isEqual,
  isList,
  isText,
  isTrue,
  isUndefined,
  itemsOf,
  listOf,
  pythonText,
  undefinedValue,
  valueFrom,
} from './values.ts'

/** A node of a parsed template with what nodes of its type have; the names are those of `@huggingface/jinja`. */
interface Parts extends Node {
  operator: { value: string }
  left: Node
  right: Node
  object: Node
  property: Node
  computed: boolean
  callee: Node
  args: Node[]
  operand: Node
  filter: Node
  test: Node
  negate: boolean
}

interface NamedNode extends Node {
  value: string
}

/** A value in the place of an expression. */
interface Evaluated extends Node {
  evaluated: Value
}

const evaluated = (value: Value): Evaluated => ({ type: 'Evaluated', evaluated: value })
const nameIn = (node: Node): string => String((node as NamedNode).value)

// Filters of no template, which stand around the expressions that go out, and those that a loop goes through.
const PRINTED = ' printed'
const LOOPED = ' looped'
const UNPACKED = ' unpacked'

// Filters that take the text of whatever they are given.
const textFilters = ['trim', 'upper', 'lower', 'title', 'capitalize', 'replace', 'string', 'escape', 'e']

const escapedCharacters: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' }

type Test = (value: Value, other: Value) => boolean

const isIn: Test = (value, all) => itemsOf(all)?.some(one => isEqual(one, value)) ?? false

const tests = new Map<string, Test>(
  Object.entries({
    iterable: value => itemsOf(value) !== undefined,
    number: ({ value }) => typeof value === 'number' || typeof value === 'boolean',
    equalto: isEqual,
    eq: isEqual,
    in: isIn,
  }),
)

/**
 * Evaluates as Jinja2 does where `@huggingface/jinja` goes another way: values are printed and compared as Python has them,
 * a missing key or an index of another type is undefined, and filters take what Jinja2's take.
 */
export class PythonInterpreter extends Interpreter {
  override evaluate(node: Node | undefined, environment: Environment): Value {
    const parts = node as Parts | undefined
    switch (parts?.type) {
      case 'Evaluated':
        return (node as Evaluated).evaluated
      case 'BinaryExpression':
        return this.#binary(parts, environment)
      case 'MemberExpression':
        return this.#member(parts, environment)
      case 'CallExpression':
        return this.#call(parts, environment)
      case 'FilterExpression':
        return this.#filter(parts, environment)
      case 'TestExpression': {
        const test = tests.get(nameIn(parts.test))
        if (!test) break
        return valueFrom(test(this.evaluate(parts.operand, environment), undefinedValue()) !== parts.negate)
      }
    }
    return super.evaluate(node, environment)
  }

  #binary(node: Parts, environment: Environment): Value {
    const operator = node.operator.value
    if (operator === 'and' || operator === 'or') return super.evaluate(node, environment)
    const left = this.evaluate(node.left, environment)
    const right = this.evaluate(node.right, environment)
    switch (operator) {
      case '==':
        return valueFrom(isEqual(left, right))
      case '!=':
        return valueFrom(!isEqual(left, right))
      case '~':
        return valueFrom(pythonText(left) + pythonText(right))
      case 'in':
      case 'not in':
        if (isText(right)) break
        return valueFrom(isIn(left, right) === (operator === 'in'))
      case '+':
        if (isText(left) === isText(right)) break
        throw new Error(`+ between ${left.type} and ${right.type}`)
      case '*':
        if (isText(left) && right.type === 'IntegerValue') {
          return valueFrom((left.value as string).repeat(Math.max(0, right.value as number)))
        }
    }
    return super.evaluate({ ...node, left: evaluated(left), right: evaluated(right) } as Node, environment)
  }

  #member(node: Parts, environment: Environment): Value {
    const value = this.evaluate(node.object, environment)
    if (isUndefined(value)) throw new Error(`${nameIn(node.property)} is asked of something undefined`)
    const object = evaluated(value)
    if (!node.computed || node.property.type === 'SliceExpression') {
      return super.evaluate({ ...node, object } as Node, environment)
    }
    const property = this.evaluate(node.property, environment)
    const isKey = isText(property) || property.type === 'IntegerValue'
    if (!isKey || (value.value instanceof Map && !isText(property))) return undefinedValue()
    return super.evaluate({ ...node, object, property: evaluated(property) } as Node, environment)
  }

  #call(node: Parts, environment: Environment): Value {
    const callee = node.callee as Parts
    if (callee.type !== 'MemberExpression' || callee.computed) return super.evaluate(node, environment)
    const object = this.evaluate(callee.object, environment)
    const method = textMethods.get(nameIn(callee.property))
    if (method && isText(object)) {
      const args = node.args.map(arg => this.evaluate(arg, environment).value as string | undefined)
      return valueFrom(method(object.value as string, ...args))
    }
    return super.evaluate({ ...node, callee: { ...callee, object: evaluated(object) } } as Node, environment)
  }

  #filter(node: Parts, environment: Environment): Value {
    const call = node.filter.type === 'CallExpression' ? (node.filter as Parts) : undefined
    const name = nameIn(call?.callee ?? node.filter)
    let operand = this.evaluate(node.operand, environment)
    if (textFilters.includes(name)) operand = valueFrom(pythonText(operand))
    const args = (): Value[] => (call?.args ?? []).map(arg => this.evaluate(arg, environment))
    const items = itemsOf(operand)
    switch (name) {
      case PRINTED:
        return valueFrom(pythonText(operand))
      case LOOPED:
      case UNPACKED:
        if (!items) throw new Error(`a loop over ${operand.type}: it has no items`)
        return listOf(name === LOOPED ? items : items.map(item => listOf(itemsOf(item) ?? [item])))
      case 'trim':
        return valueFrom(strip(operand.value as string, args()[0]?.value as string | undefined))
      case 'title':
      case 'capitalize':
        return valueFrom(textMethods.get(name)!(operand.value as string))
      case 'escape':
      case 'e':
        return valueFrom((operand.value as string).replace(/[&<>'"]/g, character => escapedCharacters[character]!))
      case 'list':
        if (items) return listOf(items)
        break
      case 'length':
      case 'count':
        if (items) return valueFrom(items.length)
        break
      case 'first':
      case 'last':
        if (items) return items.at(name === 'first' ? 0 : -1) ?? undefinedValue()
        break
      case 'join':
        if (items) operand = listOf(items.map(item => valueFrom(pythonText(item))))
        break
      case 'items':
        if (isUndefined(operand)) return listOf([])
        break
      case 'select':
      case 'reject':
      case 'selectattr':
      case 'rejectattr':
        return this.#select(name, isTrue(operand) ? items : [], args(), environment)
      case 'map': {
        const [first, ...rest] = call?.args ?? []
        if (first?.type !== 'StringLiteral' || !items) break
        const callee = { type: 'Identifier', value: nameIn(first) } as Node
        const filter = rest.length > 0 ? ({ type: 'CallExpression', callee, args: rest } as Node) : callee
        const mapped = (item: Value): Node => ({ type: 'FilterExpression', operand: evaluated(item), filter }) as Node
        return listOf(items.map(item => this.evaluate(mapped(item), environment)))
      }
    }
    return super.evaluate({ ...node, operand: evaluated(operand) } as Node, environment)
  }

  /** The items that pass a test, or whose attribute does; or those that do not. */
  #select(name: string, items: readonly Value[] | undefined, args: Value[], environment: Environment): Value {
    if (!items) throw new Error(`${name}: what it is applied to is no list`)
    const attribute = name.endsWith('attr') ? args.shift() : undefined
    const [testName, other = undefinedValue()] = args
    const test = testName
      ? (tests.get(pythonText(testName)) ?? (environment.tests.get(pythonText(testName)) as Test))
      : isTrue
    if (!test) throw new Error(`${name}: there is no test ${pythonText(testName!)}`)
    const tested = (item: Value): Value =>
      attribute ? this.#attribute(item, pythonText(attribute), environment) : item
    return listOf(items.filter(item => test(tested(item), other) === name.startsWith('select')))
  }

  /** The value at a path such as `function.name`. */
  #attribute(value: Value, path: string, environment: Environment): Value {
    return path.split('.').reduce((object, name) => {
      const key = isList(object) ? Number(name) : name
      const member = {
        type: 'MemberExpression',
        object: evaluated(object),
        property: evaluated(valueFrom(key)),
        computed: true,
      }
      return this.evaluate(member as Node, environment)
    }, value)
  }
}

/** A copy that is of the same class, by which the library knows its nodes. */
const copyWith = <T extends Node>(node: T, changes: Partial<T>): T =>
  Object.assign(Object.create(Object.getPrototypeOf(node) as object) as T, node, changes)

const [someFilter] = (parse('{{ value | filter }}') as Blocks).body as [Parts]

const filtered = (operand: Node, name: string): Node =>
  copyWith(someFilter, { operand, filter: copyWith(someFilter.filter as NamedNode, { value: name }) })

interface Blocks extends Node {
  body?: Node[]
  alternate?: Node[]
  defaultBlock?: Node[]
  loopvar?: Node
  iterable?: Node & { lhs?: Node }
}

/** A copy of a statement in which the expressions that go out and those that loops go through are marked for the interpreter. */
export function marked(statement: Node): Node {
  const { body, alternate, defaultBlock, loopvar, iterable } = statement as Blocks
  const copy: Blocks = copyWith(statement, {})
  if (body) copy.body = body.map(markedIn)
  if (alternate) copy.alternate = alternate.map(markedIn)
  if (defaultBlock) copy.defaultBlock = defaultBlock.map(markedIn)
  if (iterable) {
    const name = loopvar?.type === 'TupleLiteral' ? UNPACKED : LOOPED
    copy.iterable = iterable.lhs ? copyWith(iterable, { lhs: filtered(iterable.lhs, name) }) : filtered(iterable, name)
  }
  return copy
}

const statements = ['Set', 'If', 'For', 'Macro', 'CallStatement', 'FilterStatement', 'Break', 'Continue', 'Comment']

const markedIn = (node: Node): Node => {
  if (statements.includes(node.type)) return marked(node)
  return node.type === 'StringLiteral' ? node : filtered(node, PRINTED)
}
