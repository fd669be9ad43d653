import { overlap } from '../inference/stop-text.ts'
import { isObject } from './request-fields.ts'

/** A call that a model wrote; `arguments` is JSON. */
export interface ToolCall {
  name: string
  arguments: string
}

/** What begins a call: Hermes 2 and Qwen; Llama 3 with built-in tools; Llama 3.1's custom functions; Mistral. */
const marks = ['<tool_call>', '<|python_tag|>', '<function=', '[TOOL_CALLS]']

/**
 * Tells calls from text in what a model writes. Calls are those of the Hermes and Qwen templates
 * (`<tool_call>{"name", "arguments"}</tool_call>`) and of Llama 3 (`{"name", "parameters"}` as the whole answer, several with
 * `;` between them, or `<function=name>{...}</function>`).
 */
export class ToolCallReader {
  #text = ''
  #given = 0

  /** names: of the functions that may be called. */
  constructor(private readonly names: readonly string[]) {}

  /** What more of the text is surely no call. */
  push(piece: string): string {
    this.#text += piece
    const end = this.#certain()
    const given = this.#text.slice(this.#given, end)
    this.#given = Math.max(this.#given, end)
    return given
  }

  /** The calls, and what was held back and is none. */
  end(): { content: string; calls: ToolCall[] } {
    const held = this.#text.slice(this.#given)
    const { content, calls } = splitCalls(held, this.names)
    return calls.length > 0 ? { content, calls } : { content: held, calls: [] }
  }

  /** Up to where the text is no call. */
  #certain(): number {
    if (/^\s*([{[]|$)/.test(this.#text)) return 0
    const marked = marks.map(mark => this.#text.indexOf(mark)).filter(at => at >= 0)
    if (marked.length > 0) return Math.min(...marked)
    return this.#text.length - Math.max(...marks.map(mark => overlap(this.#text, mark)))
  }
}

function splitCalls(text: string, names: readonly string[]): { content: string; calls: ToolCall[] } {
  const calls: ToolCall[] = []
  const take = (json: string, name?: string): boolean => {
    const found = callsOf(json, name).filter(call => names.includes(call.name))
    calls.push(...found)
    return found.length > 0
  }
  const rest = text
    .replace(/<tool_call>([\s\S]*?)(?:<\/tool_call>|$)/g, (whole, json: string) => (take(json) ? '' : whole))
    .replace(/<function=([^>]+)>([\s\S]*?)(?:<\/function>|$)/g, (whole, name: string, json: string) =>
      take(json, name) ? '' : whole,
    )
  if (calls.length > 0) return { content: rest.trim(), calls }
  const bare = rest.replace(/^\s*(<\|python_tag\|>|\[TOOL_CALLS\])/, '')
  const parts = take(bare) ? [] : bare.split(/;\s*(?=\{)/)
  for (const part of parts) take(part)
  return { content: calls.length > 0 ? '' : rest, calls }
}

/** The calls that a JSON text says; with `name`, it holds the arguments alone. */
function callsOf(json: string, name?: string): ToolCall[] {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return []
  }
  if (name !== undefined) return [{ name, arguments: JSON.stringify(value) }]
  return [value].flat().flatMap(call => {
    if (!isObject(call) || typeof call.name !== 'string') return []
    const given = call.arguments ?? call.parameters ?? {}
    return [{ name: call.name, arguments: typeof given === 'string' ? given : JSON.stringify(given) }]
  })
}
