import { randomUUID } from 'node:crypto'
import type { Inference } from '../inference/inference.ts'
import type { GenerationInput } from '../inference/protocol.ts'
import { beginChoices, type Choices, type Piece, usageOf, wholeChoices } from './answer.ts'
import { forEachChoice, readSchema, readSettings, readStops } from './generation-request.ts'
import type { RequestContext } from './request-context.ts'
import type { RequestFields } from './request-fields.ts'
import { readTexts } from './texts.ts'

/** OpenAI's default of `max_tokens`. */
const DEFAULT_MAX_TOKENS = 16
const MAX_LOGPROBS = 5

/** POST /v1/completions: the texts, or the objects of a stream. Throws RequestError. */
export async function completions(
  inference: Inference,
  fields: RequestFields,
  context: RequestContext,
): Promise<{ whole: object } | { stream: AsyncGenerator<object, void, undefined> }> {
  const model = fields.required('model', fields.text('model'))
  if (fields.has('suffix')) throw fields.invalid('suffix', 'none', 'The models go on from a prompt.')
  const perPrompt = fields.integer('n', 1) ?? 1
  const bestOf = fields.integer('best_of', 1) ?? perPrompt
  if (bestOf !== perPrompt) throw fields.invalid('best_of', `${perPrompt}, as many as n`, 'Ask for n and choose.')
  const echoes = fields.flag('echo') ?? false
  const schema = readSchema(fields)
  const settings = readSettings(fields, fields.integer('max_tokens', 1) ?? DEFAULT_MAX_TOKENS)
  const topLogprobs = fields.integer('logprobs', 0, MAX_LOGPROBS)
  const stop = readStops(fields)
  const requests = readTexts(fields, 'prompt').flatMap(prompt => {
    const input: GenerationInput = typeof prompt === 'string' ? { text: prompt } : { ids: prompt }
    return forEachChoice(fields, { model, input, settings, stop, topLogprobs, ...(schema !== undefined && { schema }) })
  })
  const isStream = fields.flag('stream') ?? false
  const wantsUsage = fields.object('stream_options')?.flag('include_usage') ?? false
  const head = { id: `cmpl-${randomUUID()}`, object: 'text_completion', created: Math.floor(Date.now() / 1000), model }
  const choices = await beginChoices(inference, requests, context)
  const promptTokens = choices.begins
    .filter((_, i) => i % perPrompt === 0)
    .reduce((sum, begin) => sum + begin.promptTokens, 0)
  if (isStream) return { stream: chunks(head, choices, echoes, wantsUsage ? promptTokens : undefined) }
  const texts = await wholeChoices(choices)
  return {
    whole: {
      ...head,
      choices: texts.map(({ begin, pieces, end }, index) => {
        const echo = echoes ? begin.promptText : ''
        return {
          index,
          text: echo + pieces.map(({ text }) => text).join(''),
          logprobs: logprobsOf(pieces, echo.length),
          finish_reason: end.finishReason,
        }
      }),
      usage: usageOf(
        promptTokens,
        texts.reduce((sum, { end }) => sum + end.completionTokens, 0),
      ),
    },
  }
}

async function* chunks(
  head: object,
  { begins, events }: Choices,
  echoes: boolean,
  promptTokens: number | undefined,
): AsyncGenerator<object, void, undefined> {
  let completionTokens = 0
  const lengths = begins.map(({ promptText }) => (echoes ? promptText.length : 0))
  const chunk = (index: number, text: string, more: object = {}): object => ({
    ...head,
    choices: [{ index, text, logprobs: null, finish_reason: null, ...more }],
    ...(promptTokens !== undefined && { usage: null }),
  })
  if (echoes) for (const [index, { promptText }] of begins.entries()) yield chunk(index, promptText)
  for await (const { choice: index, event } of events) {
    if (event.type === 'piece') {
      const logprobs = logprobsOf([event], lengths[index]!)
      lengths[index]! += event.text.length
      if (event.text !== '' || logprobs) yield chunk(index, event.text, { logprobs })
    } else if (event.type === 'end') {
      completionTokens += event.completionTokens
      yield chunk(index, '', { finish_reason: event.finishReason })
    }
  }
  if (promptTokens !== undefined) yield { ...head, choices: [], usage: usageOf(promptTokens, completionTokens) }
}

/** `offset`: where in the whole text the first piece begins. */
function logprobsOf(pieces: readonly Piece[], offset: number): object | null {
  const known: { token: string; logprob: number; top: Record<string, number>; at: number }[] = []
  let at = offset
  for (const { text, logprobs } of pieces) {
    if (logprobs) {
      const top = Object.fromEntries(logprobs.top.map(({ token, logprob }) => [token, logprob]))
      known.push({ token: logprobs.token, logprob: logprobs.logprob, top, at })
    }
    at += text.length
  }
  if (known.length === 0) return null
  return {
    tokens: known.map(({ token }) => token),
    token_logprobs: known.map(({ logprob }) => logprob),
    top_logprobs: known.map(({ top }) => top),
    text_offset: known.map(each => each.at),
  }
}
