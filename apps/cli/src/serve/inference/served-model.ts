import { isHeedError, tf } from '@heed/tensor-backend'
import type { Encoding, Tokenizer } from '@heed/tokenizer'
import { type BareModel, type TokenBytes, tokenBytes } from '@heed/transformer'
import {
  AutoModel,
  AutoModelForCausalLM,
  BatchScheduler,
  type CausalLm,
  Constraint,
  type LoadOptions,
  loadTokenizer,
  resolveModel,
} from 'heed'
import { RequestError } from '../request-error.ts'
import type {
  EmbeddingRequest,
  Embeddings,
  GenerationEvent,
  GenerationInput,
  GenerationRequest,
  InferenceSettings,
  ModelSource,
  TokenText,
} from './protocol.ts'
import { StopText } from './stop-text.ts'

/** Last tokens of a prompt that a decoder of texts needs to have seen to go on rightly, with room to spare. */
const DECODER_CONTEXT = 16

/** Constraints that are kept ready: working out what a schema allows takes time. */
const MAX_CONSTRAINTS = 32

/** Caches of finished texts that are kept, so that the next turn of a conversation goes on from the last. */
const KEPT_CACHES = 4

/** A model as the server calls it. */
export interface ServedModel {
  generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, undefined>
  embed(request: EmbeddingRequest, signal: AbortSignal): Promise<Embeddings>
  dispose(): Promise<void>
}

/** A language model, or where there is no such architecture for it, one that only embeds. Throws as loading does. */
export async function loadServedModel({ location }: ModelSource, settings: InferenceSettings): Promise<ServedModel> {
  const folder = await resolveModel(location)
  const options: LoadOptions = settings.dtype === undefined ? {} : { dtype: settings.dtype }
  const tokenizer = await loadTokenizer(folder)
  try {
    return new ServedLanguageModel(await AutoModelForCausalLM.fromPretrained(folder, options), tokenizer, settings)
  } catch (error) {
    if (!isHeedError(error) || !error.message.includes('registered causal-lm architecture')) throw error
    return new ServedEncoder(await AutoModel.fromPretrained(folder, options), tokenizer)
  }
}

/** Of each text the mean of its last hidden states, of length 1. statesOf: ids -> [1, seqLen, hiddenSize]. */
async function embedEach(
  texts: readonly number[][],
  signal: AbortSignal,
  statesOf: (ids: number[]) => tf.Tensor,
): Promise<Embeddings> {
  const vectors: Float32Array[] = []
  for (const ids of texts) {
    signal.throwIfAborted()
    const vector = tf.tidy(() => {
      const mean = tf.mean(statesOf(ids), 1).flatten()
      return tf.div(mean, tf.maximum(tf.norm(mean), 1e-12))
    })
    vectors.push((await vector.data<'float32'>()).slice())
    vector.dispose()
  }
  return { vectors, promptTokens: texts.reduce((sum, { length }) => sum + length, 0) }
}

class ServedEncoder implements ServedModel {
  constructor(
    private readonly model: BareModel,
    private readonly tokenizer: Tokenizer,
  ) {}

  // biome-ignore lint/correctness/useYield: it has nothing to give.
  async *generate({ model }: GenerationRequest): AsyncGenerator<GenerationEvent, void, undefined> {
    throw new RequestError(
      400,
      `model ${JSON.stringify(model)} writes no text, expected a language model. Ask it for embeddings.`,
    )
  }

  async embed({ inputs }: EmbeddingRequest, signal: AbortSignal): Promise<Embeddings> {
    const texts = inputs.map(input => (typeof input === 'string' ? [...this.tokenizer.encode(input).ids] : [...input]))
    for (const ids of texts) this.#checkLength(ids)
    return embedEach(texts, signal, ids => this.model.forward({ inputIds: [ids] }).lastHiddenState)
  }

  async dispose(): Promise<void> {
    this.model.dispose()
  }

  #checkLength({ length }: readonly number[]): void {
    const { maxPositionEmbeddings = Infinity } = this.model.config as { maxPositionEmbeddings?: number }
    const { model_max_length: named = Infinity } = this.tokenizer.config as { model_max_length?: number }
    const most = Math.min(maxPositionEmbeddings, named)
    if (length > 0 && length <= most) return
    throw new RequestError(
      400,
      `a text of input has ${length} tokens, expected 1 to ${most}, which the model reads. Change it.`,
      { param: 'input', ...(length > most && { code: 'context_length_exceeded' }) },
    )
  }
}

class ServedLanguageModel implements ServedModel {
  readonly #scheduler: BatchScheduler
  readonly #bytes: TokenBytes
  readonly #constraints = new Map<string, Constraint>()

  constructor(
    private readonly model: CausalLm,
    private readonly tokenizer: Tokenizer,
    private readonly settings: InferenceSettings,
  ) {
    const { cacheDtype, contextLength, maxSequences } = settings
    this.#bytes = tokenBytes(tokenizer)
    this.#scheduler = new BatchScheduler(model, {
      maxSequences,
      keptCaches: KEPT_CACHES,
      cacheOptions: { cacheDtype },
      ...(contextLength !== undefined && { contextLength }),
    })
  }

  async dispose(): Promise<void> {
    await this.#scheduler.dispose()
    this.model.dispose()
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, undefined> {
    const { settings, stop, schema, topLogprobs } = request
    const ids = this.#promptIds(request.input)
    this.#checkLength(ids)
    this.#checkBias(settings)
    const { topK = this.model.generationConfig.topK ?? 0, ...others } = settings
    const sequence = this.#scheduler.submit(ids, {
      ...others,
      ...(settings.doSample && { topK }),
      ...(schema !== undefined && { constraint: this.#constraint(schema) }),
      topLogprobs,
      signal,
    })
    yield { type: 'begin', promptTokens: ids.length, promptText: this.tokenizer.decode(ids) }
    const ends = this.#endTokens()
    const decoder = this.tokenizer.decodeStream()
    for (const id of ids.slice(-DECODER_CONTEXT)) decoder.push(id)
    const text = new StopText(stop)
    let completionTokens = 0
    for await (const { id, logprobs } of sequence) {
      completionTokens += 1
      const piece = text.push(ends.includes(id) ? '' : decoder.push(id))
      yield { type: 'piece', text: piece, ...(logprobs && { logprobs: this.#describe(id, logprobs) }) }
      if (text.isStopped) break
    }
    const rest = text.push(decoder.end()) + text.end()
    if (rest !== '') yield { type: 'piece', text: rest }
    const finishReason = text.isStopped ? 'stop' : (sequence.finishReason ?? 'stop')
    yield { type: 'end', finishReason, completionTokens }
  }

  async embed({ inputs }: EmbeddingRequest, signal: AbortSignal): Promise<Embeddings> {
    const texts = inputs.map(input => this.#promptIds(typeof input === 'string' ? { text: input } : { ids: input }))
    for (const ids of texts) this.#checkLength(ids)
    return embedEach(texts, signal, ids => {
      const { hiddenStates } = this.model.forward({ inputIds: [ids], outputHiddenStates: true, logitsToKeep: 1 })
      return hiddenStates!.at(-1)!
    })
  }

  #promptIds(input: GenerationInput): number[] {
    if ('ids' in input) return [...input.ids]
    if ('text' in input) return [...this.tokenizer.encode(input.text).ids]
    const { messages, tools, variables } = input
    const { chatTemplate } = this.settings
    if (chatTemplate === undefined && this.tokenizer.chatTemplates.size === 0) {
      throw new RequestError(
        400,
        'the model has no chat template, expected one for messages. Ask /v1/completions to go on from a text, or start the server with --chat-template.',
        { param: 'messages' },
      )
    }
    const encoding: Encoding = this.tokenizer.applyChatTemplate(messages, {
      tools,
      variables,
      addGenerationPrompt: true,
      ...(chatTemplate !== undefined && { chatTemplate }),
    })
    return [...encoding.ids]
  }

  #checkLength(ids: readonly number[]): void {
    const { contextLength } = this.#scheduler
    if (ids.length === 0)
      throw new RequestError(400, 'the prompt is empty, expected at least one token. Write something.')
    if (ids.length < contextLength) return
    throw new RequestError(
      400,
      `the prompt has ${ids.length} tokens, expected less than the ${contextLength} of the model's context. Shorten it.`,
      { code: 'context_length_exceeded' },
    )
  }

  #checkBias({ sequenceBias = [] }: GenerationRequest['settings']): void {
    const { vocabSize } = this.model.config
    const wrong = sequenceBias.flatMap(([ids]) => ids).find(id => id >= vocabSize)
    if (wrong === undefined) return
    const what = `logit_bias has token ${wrong}, expected ids below the ${vocabSize} of the vocabulary`
    throw new RequestError(400, `${what}. Leave it out.`, { param: 'logit_bias' })
  }

  #constraint(schema: unknown): Constraint {
    const key = JSON.stringify(schema)
    const constraint =
      this.#constraints.get(key) ??
      Constraint.fromJsonSchema(schema as Parameters<typeof Constraint.fromJsonSchema>[0], this.tokenizer)
    this.#constraints.delete(key) // the last used is the last of the map
    this.#constraints.set(key, constraint)
    if (this.#constraints.size > MAX_CONSTRAINTS) this.#constraints.delete(this.#constraints.keys().next().value!)
    return constraint
  }

  #endTokens(): readonly number[] {
    const { eosTokenId } = this.model.config as { eosTokenId?: readonly number[] }
    return [this.model.generationConfig.eosTokenId ?? eosTokenId ?? []].flat()
  }

  #describe(id: number, { logprob, top }: { logprob: number; top: readonly { id: number; logprob: number }[] }) {
    return { ...this.#tokenText(id, logprob), top: top.map(each => this.#tokenText(each.id, each.logprob)) }
  }

  #tokenText(id: number, logprob: number): TokenText {
    const bytes = this.#bytes.get(id) ?? new Uint8Array()
    return { token: new TextDecoder().decode(bytes), bytes: [...bytes], logprob }
  }
}
