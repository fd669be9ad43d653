import type { ChatMessage } from '@heed/tokenizer'
import { RequestError } from '../request-error.ts'
import { isObject, RequestFields } from './request-fields.ts'

const roles = ['system', 'developer', 'user', 'assistant', 'tool'] as const

/** A conversation as chat templates take it: texts in one piece, arguments of calls as objects. Throws RequestError. */
export function readMessages(fields: RequestFields): ChatMessage[] {
  const list = fields.required('messages', fields.list('messages'))
  if (list.length === 0) throw fields.invalid('messages', 'at least one message', 'Say something.')
  return list.map((value, i) => {
    const message = RequestFields.of(value, `messages[${i}]`)
    const role = message.required('role', message.choice('role', roles))
    const calls = message.list('tool_calls')?.map((call, j) => readCall(call, `messages[${i}].tool_calls[${j}]`))
    const content = readContent(message)
    if (content === undefined && !calls) throw message.invalid('content', 'a text or a list of text parts')
    const name = message.text('name')
    const callId = message.text('tool_call_id')
    return {
      role: role === 'developer' ? 'system' : role,
      content: content ?? '',
      ...(calls && { tool_calls: calls }),
      ...(name !== undefined && { name }),
      ...(callId !== undefined && { tool_call_id: callId }),
    }
  })
}

function readContent(message: RequestFields): string | undefined {
  const content = message.get('content')
  if (content === undefined || typeof content === 'string') return content
  if (!Array.isArray(content)) throw message.invalid('content', 'a text or a list of text parts')
  return content
    .map(part => {
      if (isObject(part) && part.type === 'text' && typeof part.text === 'string') return part.text
      throw message.invalid('content', 'only parts { "type": "text", "text": ... }', 'The model reads text alone.')
    })
    .join('')
}

function readCall(value: unknown, at: string): Record<string, unknown> {
  const call = RequestFields.of(value, at)
  const of = call.required('function', call.object('function'))
  const given = of.get('arguments') ?? '{}'
  return {
    id: call.text('id'),
    type: 'function',
    function: {
      name: of.required('name', of.text('name')),
      arguments: typeof given === 'string' ? parsed(given, at) : given,
    },
  }
}

function parsed(text: string, at: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const param = `${at}.function.arguments`
    throw new RequestError(
      400,
      `${param} is no JSON, expected the arguments that the model gave. Send them back unchanged.`,
      {
        param,
      },
    )
  }
}
