import { randomUUID } from 'node:crypto'
import type { Inference } from '../inference/inference.ts'
import { beginChoices, type Choices, type Piece, usageOf, type WholeChoice, wholeChoices } from './answer.ts'
import { readMessages } from './chat-messages.ts'
import { forEachChoice, readSchema, readSettings, readStops } from './generation-request.ts'
import type { RequestContext } from './request-context.ts'
import type { RequestFields } from './request-fields.ts'
import { type ToolCall, ToolCallReader } from './tool-calls.ts'
import { readTools } from './tools.ts'

const MAX_TOP_LOGPROBS = 20

/** POST /v1/chat/completions: the answer, or the objects of a stream. Throws RequestError. */
export async function chatCompletions(
  inference: Inference,
  fields: RequestFields,
  context: RequestContext,
): Promise<{ whole: object } | { stream: AsyncGenerator<object, void, undefined> }> {
  const model = fields.required('model', fields.text('model'))
  const { tools, schema: callSchema } = readTools(fields)
  const schema = callSchema ?? readSchema(fields)
  const maxNewTokens = fields.integer('max_completion_tokens', 1) ?? fields.integer('max_tokens', 1)
  const wantsLogprobs = fields.flag('logprobs') ?? false
  const topLogprobs = fields.integer('top_logprobs', 0, MAX_TOP_LOGPROBS) ?? 0
  if (topLogprobs > 0 && !wantsLogprobs) throw fields.invalid('top_logprobs', '"logprobs": true with it', 'Add it.')
  if (fields.has('functions')) throw fields.invalid('functions', 'tools, which came after them', 'Give them as tools.')
  const requests = forEachChoice(fields, {
    model,
    input: {
      messages: readMessages(fields),
      tools: tools.length > 0 ? tools : null,
      variables: fields.object('chat_template_kwargs')?.all ?? {},
    },
    settings: readSettings(fields, maxNewTokens),
    stop: readStops(fields),
    ...(schema !== undefined && { schema }),
    ...(wantsLogprobs && { topLogprobs }),
  })
  const isStream = fields.flag('stream') ?? false
  const wantsUsage = fields.object('stream_options')?.flag('include_usage') ?? false
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model }
  const names = tools.map(tool => tool.function.name)
  const choices = await beginChoices(inference, requests, context)
  if (isStream) return { stream: chunks(head, choices, names, wantsUsage) }
  const texts = await wholeChoices(choices)
  const completionTokens = texts.reduce((sum, { end }) => sum + end.completionTokens, 0)
  return {
    whole: {
      ...head,
      object: 'chat.completion',
      choices: texts.map((text, index) => wholeChoice(text, index, names)),
      usage: usageOf(texts[0]!.begin.promptTokens, completionTokens),
    },
  }
}

function wholeChoice({ pieces, end }: WholeChoice, index: number, names: readonly string[]): object {
  const reader = names.length > 0 ? new ToolCallReader(names) : undefined
  const text = pieces.map(piece => (reader ? reader.push(piece.text) : piece.text)).join('')
  const { content: rest, calls } = reader?.end() ?? { content: '', calls: [] }
  const content = text + rest
  return {
    index,
    message: {
      role: 'assistant',
      content: calls.length > 0 && content === '' ? null : content,
      refusal: null,
      ...(calls.length > 0 && { tool_calls: calls.map(describeCall) }),
    },
    logprobs: logprobsOf(pieces),
    finish_reason: calls.length > 0 ? 'tool_calls' : end.finishReason,
  }
}

async function* chunks(
  head: object,
  { begins, events }: Choices,
  names: readonly string[],
  wantsUsage: boolean,
): AsyncGenerator<object, void, undefined> {
  const readers = begins.map(() => (names.length > 0 ? new ToolCallReader(names) : undefined))
  let completionTokens = 0
  const chunk = (choice: object): object => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [choice],
    ...(wantsUsage && { usage: null }),
  })
  const delta = (index: number, change: object, more: object = {}): object =>
    chunk({ index, delta: change, logprobs: null, finish_reason: null, ...more })
  for (const index of begins.keys()) yield delta(index, { role: 'assistant', content: '', refusal: null })
  for await (const { choice: index, event } of events) {
    const reader = readers[index]
    if (event.type === 'piece') {
      const content = reader ? reader.push(event.text) : event.text
      const logprobs = logprobsOf([event])
      if (content !== '' || logprobs) yield delta(index, { content }, { logprobs })
    } else if (event.type === 'end') {
      completionTokens += event.completionTokens
      const { content, calls } = reader?.end() ?? { content: '', calls: [] }
      if (content !== '') yield delta(index, { content })
      for (const [i, call] of calls.entries()) yield delta(index, { tool_calls: [{ index: i, ...describeCall(call) }] })
      yield delta(index, {}, { finish_reason: calls.length > 0 ? 'tool_calls' : event.finishReason })
    }
  }
  if (wantsUsage) {
    const usage = usageOf(begins[0]!.promptTokens, completionTokens)
    yield { ...head, object: 'chat.completion.chunk', choices: [], usage }
  }
}

function describeCall(call: ToolCall): object {
  return { id: `call_${randomUUID().replaceAll('-', '')}`, type: 'function', function: call }
}

function logprobsOf(pieces: readonly Piece[]): object | null {
  const content = pieces.flatMap(({ logprobs }) => {
    if (!logprobs) return []
    const { top, ...token } = logprobs
    return [{ ...token, top_logprobs: top }]
  })
  return content.length > 0 ? { content, refusal: null } : null
}
