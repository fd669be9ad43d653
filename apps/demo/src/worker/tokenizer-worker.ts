import { createByteLevelBpe, Tokenizer } from '@heed/tokenizer'
import { expose } from 'comlink'
import './errors.ts'
import { emptyTokenizer, type TrainingMethod, trainerOf } from './training-methods.ts'

/** One token as the page shows it. */
export interface TokenView {
  id: number
  token: string
  /** In UTF-16 units of the text. */
  start: number
  end: number
  isSpecial: boolean
}

export type { TrainingMethod }

interface ModelJson {
  type: TrainingMethod
  vocab: Record<string, number> | Array<[string, number]>
  merges?: unknown[]
}

let tokenizer = createByteLevelBpe()

/** The order in which tokens came into the vocabulary: that of ids, for Unigram that of scores. */
let learned: string[] = []

function describe(): { vocabSize: number; learned: string[] } {
  const { model } = tokenizer.toJSON() as unknown as { model: ModelJson }
  const isScored = Array.isArray(model.vocab)
  const tokens: Array<[string, number]> = isScored
    ? [...(model.vocab as Array<[string, number]>)].sort((a, b) => b[1] - a[1])
    : Object.entries(model.vocab).sort((a, b) => a[1] - b[1])
  learned = tokens.map(([token]) => token)
  return { vocabSize: tokenizer.vocabSize, learned }
}

function view(from: Tokenizer, text: string): TokenView[] {
  const { ids, tokens, offsets, specialTokensMask } = from.encode(text)
  return tokens.map((token, i) => {
    const [start, end] = offsets[i]!
    return { id: ids[i]!, token, start, end, isSpecial: specialTokensMask[i] === 1 }
  })
}

/** The tokenizer as it was when its vocabulary had `size` tokens. */
function atSize(size: number): Tokenizer {
  const json = tokenizer.toJSON() as unknown as { model: ModelJson }
  const { model } = json
  const kept = new Set(learned.slice(0, size))
  const isKept = (token: string): boolean => kept.has(token) || [...token].length === 1 || /^##.$/u.test(token)
  if (Array.isArray(model.vocab)) {
    const vocab = model.vocab.filter(([token], i) => i === 0 || isKept(token))
    return Tokenizer.fromJSON({ ...json, model: { ...model, vocab } })
  }
  const vocab = Object.fromEntries(Object.entries(model.vocab).filter(([token]) => isKept(token)))
  const merges = model.merges?.filter(merge => {
    const [left, right] = typeof merge === 'string' ? merge.split(' ') : (merge as string[])
    return left! in vocab && right! in vocab && left! + right! in vocab
  })
  return Tokenizer.fromJSON({ ...json, model: { ...model, vocab, ...(merges && { merges }) } })
}

const api = {
  /** Loads the content of a tokenizer.json. */
  open(json: string): { vocabSize: number; learned: string[] } {
    tokenizer = Tokenizer.fromJSON(JSON.parse(json))
    return describe()
  },

  encode(text: string): TokenView[] {
    return view(tokenizer, text)
  },

  encodeAtSize(text: string, size: number): TokenView[] {
    return view(atSize(size), text)
  },

  /** Trains a tokenizer, which is then the one in use. */
  async train(
    method: TrainingMethod,
    text: string,
    vocabSize: number,
    onProgress: (done: number, total: number | undefined) => void,
  ): Promise<{ vocabSize: number; learned: string[] }> {
    const trained = emptyTokenizer(method)
    const lines = text.split(/(?<=\n)/)
    await trainerOf(method, vocabSize).train(trained, lines, {
      onProgress: ({ done, total }) => void onProgress(done, total),
    })
    tokenizer = trained
    return describe()
  },

  json(): string {
    return JSON.stringify(tokenizer, null, 2)
  },
}

export type TokenizerWorker = typeof api

expose(api)
