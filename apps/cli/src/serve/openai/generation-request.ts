import { randomInt } from 'node:crypto'
import type { GenerationSettings } from '@heed/transformer'
import { withoutUndefined } from '../../without-undefined.ts'
import type { GenerationRequest } from '../inference/protocol.ts'
import type { RequestFields } from './request-fields.ts'

/** Choices of one request; each takes a place in the batch. */
const MAX_CHOICES = 16

/** What OpenAI allows. */
const MAX_STOPS = 4

/** The settings that /v1/completions and /v1/chat/completions share, and those of other servers: top_k, min_p, repetition_penalty. */
export function readSettings(
  fields: RequestFields,
  maxNewTokens: number | undefined,
): GenerationSettings & { seed: number } {
  const temperature = fields.number('temperature', 0, 2)
  const topP = fields.number('top_p', 0, 1)
  const topK = fields.integer('top_k', 0)
  const minP = fields.number('min_p', 0, 1)
  const doSample = temperature !== 0 && topP !== 0
  const settings = withoutUndefined({
    maxNewTokens,
    doSample,
    ...(doSample && { temperature: temperature ?? 1, topP: topP ?? 1, topK, minP }),
    presencePenalty: fields.number('presence_penalty', -2, 2),
    frequencyPenalty: fields.number('frequency_penalty', -2, 2),
    repetitionPenalty: fields.number('repetition_penalty', 0.01, 10),
    sequenceBias: readBias(fields),
  })
  return { ...settings, seed: fields.integer('seed', Number.MIN_SAFE_INTEGER) ?? randomInt(2 ** 31) }
}

/** Texts before which an answer ends. */
export function readStops(fields: RequestFields): readonly string[] {
  return fields.texts('stop', MAX_STOPS)
}

/** The JSON schema of `response_format`; undefined for free text. */
export function readSchema(fields: RequestFields): unknown {
  const format = fields.object('response_format')
  const type = format?.choice('type', ['text', 'json_object', 'json_schema'])
  if (!format || type === undefined || type === 'text') return undefined
  if (type === 'json_object') return { type: 'object', additionalProperties: true }
  const schema = format.required('json_schema', format.object('json_schema'))
  return schema.required('schema', schema.get('schema'))
}

/** One request for each choice: with a seed of its own, and otherwise alike. */
export function forEachChoice(fields: RequestFields, request: GenerationRequest): GenerationRequest[] {
  const { settings } = request
  const count = fields.integer('n', 1, MAX_CHOICES) ?? 1
  return Array.from({ length: count }, (_, i) => ({ ...request, settings: { ...settings, seed: settings.seed + i } }))
}

/** `logit_bias`: { "token id": from -100 to 100 }. */
function readBias(fields: RequestFields): GenerationSettings['sequenceBias'] {
  const bias = fields.get('logit_bias')
  if (bias === undefined) return undefined
  const entries = typeof bias === 'object' ? Object.entries(bias as Record<string, unknown>) : undefined
  const isValid = ([id, value]: [string, unknown]): boolean =>
    /^\d+$/.test(id) && typeof value === 'number' && Math.abs(value) <= 100
  if (!entries?.every(isValid))
    throw fields.invalid('logit_bias', 'an object from token ids to numbers from -100 to 100')
  return entries.length === 0 ? undefined : entries.map(([id, value]) => [[Number(id)], value as number] as const)
}
