import type { Tokenizer } from '@heed/tokenizer'
import { type IndexedDataset, ignoreIndex, type TextSample, type TokenExample } from '@heed/trainer'
import type { CausalLm } from '@heed/transformer'

/** The beginning of a text, as ids, and how it goes on in the data where one answer is right. */
interface Beginning {
  ids: number[]
  expected?: string
}

export interface SampleOptions {
  model: CausalLm
  tokenizer: Tokenizer
  /** Beginnings are taken from these where people give none. */
  validation: IndexedDataset<TokenExample>
  /** What people ask for. */
  prompts?: readonly string[] | undefined
  /** Prompts are what a user says in a chat. */
  isChat?: boolean
  /** Takes the likeliest tokens, where one answer is right. */
  isGreedy?: boolean
  /** Most tokens of a beginning with what follows. */
  blockSize: number
}

/** Beginnings taken from the data. */
const numBeginnings = 2
/** Tokens of one, where the data have no answers. */
const beginningLength = 12
const mostNewTokens = 64

/** Writes some texts for the report of a run: to the prompts given, else to beginnings of the validation data. */
export function sampleTexts(options: SampleOptions): () => Promise<TextSample[]> {
  const { model, tokenizer, blockSize, isChat = false, isGreedy } = options
  const beginnings = options.prompts?.map(prompt => promptIds(tokenizer, prompt, isChat))
  return async () => {
    const samples: TextSample[] = []
    for (const { ids, expected } of beginnings ?? (await fromData(options))) {
      const maxNewTokens = Math.min(mostNewTokens, blockSize - ids.length)
      if (maxNewTokens < 1) continue
      const choice = isGreedy ? { doSample: false } : { doSample: true, temperature: 0.8, topK: 50, seed: 42 }
      const [whole] = await model.generate([ids], { maxNewTokens, ...choice })
      const text = tokenizer.decode(whole!.slice(ids.length))
      samples.push({ prompt: tokenizer.decode(ids), text, ...(expected !== undefined && { expected }) })
    }
    return samples
  }
}

function promptIds(tokenizer: Tokenizer, prompt: string, isChat: boolean): Beginning {
  const messages = [{ role: 'user', content: prompt }]
  const encoding = isChat
    ? tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })
    : tokenizer.encode(prompt)
  return { ids: [...encoding.ids] }
}

async function fromData({ tokenizer, validation }: SampleOptions): Promise<Beginning[]> {
  const beginnings: Beginning[] = []
  for (let i = 0; i < Math.min(numBeginnings, validation.length); i++) {
    const { inputIds, labels } = await validation.get(i)
    const ids = Array.from(inputIds)
    if (labels) {
      const start = Array.from(labels).findIndex(label => label !== ignoreIndex)
      const end = Array.from(labels).indexOf(ignoreIndex, start)
      const answer = ids.slice(start, end < 0 ? ids.length : end)
      beginnings.push({ ids: ids.slice(0, start), expected: tokenizer.decode(answer) })
    } else beginnings.push({ ids: ids.slice(0, Math.min(beginningLength, ids.length / 2)) })
  }
  return beginnings
}
