// The classes of `@huggingface/jinja` with their types, which its declarations lose where modules are resolved as Node does.
import * as jinja from '@huggingface/jinja'

/** A node of a parsed template. */
export interface Node {
  readonly type: string
}

/** A value of a template: lists hold values, dictionaries are maps of them. */
export interface Value {
  readonly type: string
  readonly value: unknown
  __bool__(): { readonly value: boolean }
}

export interface Environment {
  readonly variables: Map<string, Value>
  readonly tests: ReadonlyMap<string, (value: Value, other: Value) => boolean>
  /** Declares a variable, and gives the value it has in the template. */
  set(name: string, value: unknown): Value
}

type Evaluator = { evaluate(node: Node | undefined, environment: Environment): Value }

export const Environment: new () => Environment = jinja.Environment
export const Interpreter: new (environment: Environment) => Evaluator = jinja.Interpreter

/** The statements of a template; lines of statements alone leave nothing, as transformers has it. Throws Error where it is broken. */
export const parse = (source: string): Node =>
  jinja.parse(jinja.tokenize(source, { lstrip_blocks: true, trim_blocks: true }))
