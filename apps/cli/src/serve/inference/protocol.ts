/** What the thread that answers HTTP and the thread that computes say to each other: plain data. */
import type { ChatMessage } from '@heed/tokenizer'
import type { CacheOptions, GenerationSettings } from '@heed/transformer'
import type { LoadOptions } from 'heed'
import type { ErrorStatus } from '../request-error.ts'

/** A model to serve, under the name that requests give. */
export interface ModelSource {
  name: string
  location: string
}

export interface InferenceSettings {
  models: readonly ModelSource[]
  dtype?: NonNullable<LoadOptions['dtype']> | undefined
  /** How keys and values of the texts are held; float32 by default. */
  cacheDtype?: CacheOptions['cacheDtype']
  contextLength?: number | undefined
  /** Texts that one model writes at once. */
  maxSequences: number
  /** Jinja text in the place of the tokenizer's. */
  chatTemplate?: string | undefined
}

export type ToolSchema = {
  type: 'function'
  function: { name: string; parameters?: unknown } & Record<string, unknown>
}

/** A text to begin with, ids of one, or a conversation. */
export type GenerationInput =
  | { text: string }
  | { ids: readonly number[] }
  | { messages: readonly ChatMessage[]; tools: readonly ToolSchema[] | null; variables: Record<string, unknown> }

export interface GenerationRequest {
  model: string
  input: GenerationInput
  settings: GenerationSettings & { seed: number }
  /** Texts before which the answer ends. */
  stop: readonly string[]
  /** Keeps the answer within JSON by a schema. */
  schema?: unknown
  topLogprobs?: number | undefined
}

export interface EmbeddingRequest {
  model: string
  inputs: readonly (string | readonly number[])[]
}

/** A token as OpenAI's logprobs describe it. */
export interface TokenText {
  token: string
  bytes: readonly number[]
  logprob: number
}

export type GenerationEvent =
  | { type: 'begin'; promptTokens: number; promptText: string }
  | { type: 'piece'; text: string; logprobs?: TokenText & { top: readonly TokenText[] } }
  | { type: 'end'; finishReason: 'stop' | 'length'; completionTokens: number }

export interface Embeddings {
  vectors: readonly Float32Array[]
  promptTokens: number
}

/** To the thread that computes. `read`: so many pieces of a job were taken. */
export type Command =
  | { type: 'generate'; job: number; request: GenerationRequest }
  | { type: 'embed'; job: number; request: EmbeddingRequest }
  | { type: 'read'; job: number; count: number }
  | { type: 'cancel'; job: number }
  | { type: 'close' }

/** What a job failed with; without a status it is the server's fault. */
export interface JobError {
  message: string
  status?: ErrorStatus
  code?: string
  stack?: string
}

/** From the thread that computes. */
export type Report =
  | { type: 'ready'; backend: string }
  | { type: 'failed'; error: JobError }
  | { type: 'event'; job: number; event: GenerationEvent }
  | { type: 'embeddings'; job: number; embeddings: Embeddings }
  | { type: 'done'; job: number }
  | { type: 'error'; job: number; error: JobError }

/** Pieces that may be on their way before the reader says that it has taken some. */
export const READ_AHEAD = 64
