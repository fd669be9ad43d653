import type { Tokenizer } from '@heed/tokenizer'
import { type CausalLm, type FilledMask, type FillMaskResult, pipeline, type Seq2SeqLm } from '@heed/transformer'
import { startBackend } from './backend.ts'
import { type Guess, likeliest } from './guess.ts'
import { type ModelSource, type OpenModel, openModel } from './open-model.ts'
import { isRunDone } from './run-store.ts'

export type { ModelSource, Task } from './open-model.ts'

export interface WrittenToken {
  /** Added to the text by this token; empty while a character is not complete. */
  text: string
  id: number
  /** The likeliest tokens here, before temperature and cuts, most likely first. */
  alternatives: Guess[]
}

export interface Sampling {
  maxNewTokens: number
  doSample: boolean
  temperature: number
  topK: number
  topP: number
  seed: number
}

let loaded: OpenModel | undefined
let numLoaded = 0
let writing: AbortController | undefined
let written: Promise<void> = Promise.resolve()

const nothing = (): void => {}

/** Of one row. */
function softmax(scores: Float32Array): Float32Array {
  const highest = scores.reduce((most, score) => Math.max(most, score))
  const powers = scores.map(score => Math.exp(score - highest))
  const sum = powers.reduce((total, power) => total + power)
  return powers.map(power => power / sum)
}

export const running = {
  /** Whether there is a model that was trained here. */
  hasTrained: isRunDone,

  async load(source: ModelSource, onProgress: (done: number, total: number) => void) {
    const { backend, threads } = await startBackend()
    const opened = await openModel(source, onProgress)
    writing?.abort()
    await written // the model is in use till then
    loaded?.model.dispose()
    loaded = opened
    const turn = ++numLoaded
    const { model, tokenizer, task } = opened
    const hasChat = Boolean(tokenizer.config.chat_template)
    return {
      turn,
      numParameters: model.numParameters,
      architecture: model.architecture,
      task,
      hasChat,
      backend,
      threads,
    }
  },

  /** Writes on from a prompt, token by token. */
  async generate(prompt: string, sampling: Sampling, onToken: (token: WrittenToken) => void): Promise<void> {
    const { model, tokenizer } = loaded!
    await write(model as CausalLm, tokenizer, [...tokenizer.encode(prompt).ids], sampling, onToken)
  },

  /** The answer to a conversation. */
  async chat(
    messages: Array<{ role: 'user' | 'assistant'; content: string }>,
    sampling: Sampling,
    onToken: (token: WrittenToken) => void,
  ): Promise<void> {
    const { model, tokenizer } = loaded!
    const { ids } = tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })
    await write(model as CausalLm, tokenizer, [...ids], sampling, onToken)
  },

  /** The text of a source in the other language, by beam search. */
  async translate(text: string): Promise<string> {
    const { model, tokenizer } = loaded!
    const [ids] = await (model as Seq2SeqLm).generate([[...tokenizer.encode(text).ids]], {
      numBeams: 4,
      maxNewTokens: 64,
    })
    return tokenizer.decode(ids!)
  },

  /** The likeliest words for the mask of a text. */
  async fill(text: string): Promise<FilledMask[]> {
    const { model, tokenizer } = loaded!
    const fill = await pipeline('fill-mask', { model, tokenizer })
    return [(await fill(text)) as FillMaskResult].flat(2)
  },

  stop(): void {
    writing?.abort()
  },
}

async function write(
  model: CausalLm,
  tokenizer: Tokenizer,
  ids: number[],
  { doSample, temperature, topK, topP, seed, maxNewTokens }: Sampling,
  onToken: (token: WrittenToken) => void,
): Promise<void> {
  const controller = new AbortController()
  writing = controller
  const stream = tokenizer.decodeStream()
  for (const id of ids) stream.push(id)
  let alternatives: Guess[] = []
  const look = (scores: Float32Array): void => {
    alternatives = likeliest(softmax(scores), tokenizer)
  }
  const work = model.generate([ids], {
    maxNewTokens,
    doSample,
    ...(doSample && { temperature, topK, topP, seed }),
    signal: controller.signal,
    logitsProcessors: [look],
    streamer: { put: ([id]) => onToken({ id: id!, text: stream.push(id!), alternatives }) },
  })
  written = work.then(nothing, nothing)
  try {
    await work
  } catch (error) {
    if (!controller.signal.aborted) throw error
  }
}

export type RunningWorker = typeof running
