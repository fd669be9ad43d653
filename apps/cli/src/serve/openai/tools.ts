import type { ToolSchema } from '../inference/protocol.ts'
import { isObject, RequestFields } from './request-fields.ts'

/** The functions that the model may call, and what binds it to call one. */
export interface ToolUse {
  tools: readonly ToolSchema[]
  /** The answer must be a call of one of `tools`: its JSON schema. */
  schema?: unknown
}

/** Reads `tools` and `tool_choice`. Throws RequestError. */
export function readTools(fields: RequestFields): ToolUse {
  const tools = (fields.list('tools') ?? []).map((value, i) => {
    const tool = RequestFields.of(value, `tools[${i}]`)
    tool.required('type', tool.choice('type', ['function']))
    const of = tool.required('function', tool.object('function'))
    of.required('name', of.text('name'))
    of.object('parameters')
    return value as ToolSchema
  })
  const choice = fields.get('tool_choice')
  if (choice === undefined || choice === 'auto') return { tools }
  if (choice === 'none') return { tools: [] }
  const names = tools.map(tool => tool.function.name)
  if (choice === 'required' && tools.length > 0) return { tools, schema: callSchema(tools) }
  const name = namedFunction(choice)
  const chosen = tools.filter(tool => tool.function.name === name)
  if (chosen.length > 0) return { tools, schema: callSchema(chosen) }
  const known = names.map(known => JSON.stringify(known)).join(', ') || 'none is given'
  throw fields.invalid('tool_choice', `"none", "auto", "required", or one of the tools (${known})`)
}

function namedFunction(choice: unknown): string | undefined {
  const { function: of } = (typeof choice === 'object' ? choice : {}) as { function?: { name?: string } }
  return of?.name
}

/** { "name": ..., "arguments": ... } of one of the tools. */
function callSchema(tools: readonly ToolSchema[]): unknown {
  return {
    anyOf: tools.map(({ function: { name, parameters = { type: 'object' } } }, i) => ({
      type: 'object',
      properties: { name: { const: name }, arguments: moved(parameters, `#/anyOf/${i}/properties/arguments`) },
      required: ['name', 'arguments'],
    })),
  }
}

/** Keywords that hold values, and those that hold schemas by name. */
const ofValues = ['const', 'enum', 'default', 'examples']
const ofNames = ['properties', '$defs', 'definitions']

/** A schema that stands at the place `to` of another: what it refers to in itself, such as `#/$defs/name`, is found there. */
function moved(schema: unknown, to: string, areNames = false): unknown {
  if (Array.isArray(schema)) return schema.map(each => moved(each, to))
  if (!isObject(schema)) return schema
  const entries = Object.entries(schema).map(([key, value]) => {
    if (areNames) return [key, moved(value, to)]
    if (key === '$ref' && typeof value === 'string') return [key, value.replace(/^#/, to)]
    return [key, ofValues.includes(key) ? value : moved(value, to, ofNames.includes(key))]
  })
  return Object.fromEntries(entries)
}
