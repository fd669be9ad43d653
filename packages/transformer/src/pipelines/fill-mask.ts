import { HeedError, tf } from '@heed/tensor-backend'
import type { MaskedLm } from '../auto.ts'
import { encodeTexts, probabilities, type TextModel } from './text-batch.ts'

export interface FillMaskOptions {
  /** How many tokens for each mask; 5 by default. */
  topK?: number
}

export interface FilledMask {
  /** Probability of the token. */
  score: number
  token: number
  tokenStr: string
  /** The text with the token in the mask's place. */
  sequence: string
}

/** The likeliest tokens for a text's mask; a list for each mask where there are several. */
export type FillMaskResult = FilledMask[] | FilledMask[][]

/** Fills the mask tokens of texts. Throws HEED_ARGUMENT_INVALID when a text has none. */
export async function fillMasks(
  { model, tokenizer }: TextModel<MaskedLm>,
  texts: readonly string[],
  { topK = 5 }: FillMaskOptions = {},
): Promise<FillMaskResult[]> {
  const mask = tokenizer.specialToken('mask_token') ?? '[MASK]'
  const maskId = tokenizer.tokenToId(mask)
  const { encodings, inputs } = encodeTexts({ model, tokenizer }, texts)
  const logits = tf.tidy(() => model.forward(inputs).logits)
  try {
    const values = await logits.data()
    const [, seqLen, vocabSize] = logits.shape as [number, number, number]
    return encodings.map((encoding, i) => {
      const ids = encoding.ids.filter((_, j) => encoding.attentionMask[j] === 1)
      const places = [...ids.keys()].filter(j => ids[j] === maskId)
      if (places.length === 0) throw missingMask(texts[i]!, mask)
      const filled = places.map(place => {
        const start = (i * seqLen + place) * vocabSize
        return best(probabilities(values.slice(start, start + vocabSize)), topK).map(([token, score]) => ({
          score,
          token,
          tokenStr: tokenizer.decode([token]),
          // A text with other masks keeps its special tokens, so that they stay visible, as in HF.
          sequence: tokenizer.decode(ids.with(place, token), { skipSpecialTokens: places.length === 1 }),
        }))
      })
      return filled.length === 1 ? filled[0]! : filled
    })
  } finally {
    logits.dispose()
  }
}

function missingMask(text: string, mask: string): HeedError {
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `fill-mask: text is ${JSON.stringify(text)}, expected at least one ${mask} in it. Put ${mask} where a word is wanted.`,
  )
}

/** The `count` highest with their indices, highest first. */
function best(scores: readonly number[], count: number): [index: number, score: number][] {
  const order = [...scores.entries()].sort(([, a], [, b]) => b - a)
  return order.slice(0, count)
}
