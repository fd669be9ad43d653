import { marked, PythonInterpreter } from './interpreter.ts'
import { Environment, type Node, parse, type Value } from './library.ts'
import { strftimeNow } from './texts.ts'
import { valueFrom } from './values.ts'

/** Variables that every chat template has, as transformers gives them. */
const globals = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  raise_exception: (message: string): never => {
    throw new Error(message)
  },
  strftime_now: strftimeNow,
  range: (start: number, stop?: number, step = 1): number[] => {
    const [first, end] = stop === undefined ? [0, start] : [start, stop]
    if (step === 0) throw new Error('range: the step is 0, expected another number')
    return Array.from({ length: Math.max(0, Math.ceil((end - first) / step)) }, (_, i) => first + i * step)
  },
}

/** `dict(key=value)`: its keywords are the dictionary. */
function dictFunction(): Value {
  const dict = valueFrom(() => {})
  return Object.assign(dict, {
    value: ([entries]: Value[]) =>
      Object.assign(valueFrom({}), { value: new Map((entries ?? valueFrom({})).value as Map<string, Value>) }),
  })
}

/** A chat template that gives the text Jinja2 gives in transformers. */
export class ChatTemplate {
  readonly #program: Node

  /** Throws Error where the text is not a Jinja template. */
  constructor(source: string) {
    this.#program = marked(parse(source))
  }

  /** Throws Error where the template refuses its variables. */
  render(variables: Readonly<Record<string, unknown>>): string {
    const environment = new Environment()
    for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value)
    environment.variables.set('dict', dictFunction())
    return String(new PythonInterpreter(environment).evaluate(this.#program, environment).value)
  }
}
