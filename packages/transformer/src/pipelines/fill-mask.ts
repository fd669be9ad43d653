import { HeedError, shown, tf } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import type { MaskedLm } from '../auto.ts'
import { invalidArgument } from '../invalid-argument.ts'
import { anything, count, type Rules, textOrTexts } from './options.ts'
import { encodeTexts, longestInput, probabilities, type TextModel } from './text-batch.ts'

export interface FillMaskOptions {
  /** How many tokens for each mask; 5 by default. */
  topK?: number
  /** The only tokens to choose from; of a word that is no token its first one is taken, with a warning. */
  targets?: string | readonly string[]
  /** Told of targets that are no tokens; `console.warn` by default. */
  onWarning?: (message: string) => void
}

export const fillMaskOptions: Rules<FillMaskOptions> = { topK: count, targets: textOrTexts, onWarning: anything }

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
  { topK = 5, targets, onWarning = console.warn }: FillMaskOptions = {},
): Promise<FillMaskResult[]> {
  const mask = tokenizer.specialToken('mask_token') ?? '[MASK]'
  const maskId = tokenizer.tokenToId(mask)
  const wanted = targets === undefined ? undefined : targetIds(tokenizer, targets, onWarning)
  const { encodings, inputs } = encodeTexts({ model, tokenizer }, texts)
  const logits = tf.tidy(() => model.forward(inputs).logits)
  try {
    const values = await logits.data()
    const [, seqLen, vocabSize] = logits.shape as [number, number, number]
    return encodings.map((encoding, i) => {
      const ids = encoding.ids.filter((_, j) => encoding.attentionMask[j] === 1)
      if (encoding.overflowing.some(window => window.ids.includes(maskId!))) {
        throw maskOutOfReach({ model, tokenizer }, texts[i]!, mask)
      }
      const places = [...ids.keys()].filter(j => ids[j] === maskId)
      if (places.length === 0) throw missingMask(texts[i]!, mask)
      const filled = places.map(place => {
        const start = (i * seqLen + place) * vocabSize
        return best(probabilities(values.slice(start, start + vocabSize)), topK, wanted).map(([token, score]) => ({
          score,
          token,
          tokenStr: tokenizer.decode([token], { skipSpecialTokens: false }),
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
    `fill-mask: text is ${shown(text)}, expected at least one ${mask} in it. Put ${mask} where a word is wanted.`,
  )
}

/** A mask in what was cut off cannot be filled. */
function maskOutOfReach(parts: TextModel, text: string, mask: string): HeedError {
  const { length } = parts.tokenizer.encode(text, { truncation: false, padding: false })
  const rule = `at most the ${longestInput(parts)} that the model takes, or ${mask} among the first of them`
  return invalidArgument('fill-mask', 'the number of tokens of a text', length, rule, 'Shorten the text.')
}

function targetIds(
  tokenizer: Tokenizer,
  targets: string | readonly string[],
  onWarning: (message: string) => void,
): number[] {
  const ids = [targets].flat().map(target => {
    const known = tokenizer.tokenToId(target)
    if (known !== undefined) return known
    const encoding = tokenizer.encode(target, { addSpecialTokens: false, truncation: false, padding: false })
    const first = encoding.ids[0]
    if (first === undefined) {
      throw invalidArgument('fill-mask', 'a target', target, 'a token of the vocabulary', 'Leave it out.')
    }
    onWarning(
      `fill-mask: target ${JSON.stringify(target)} is no token of the vocabulary, ${JSON.stringify(encoding.tokens[0])} is taken instead.`,
    )
    return first
  })
  return [...new Set(ids)]
}

/** The `count` highest with their indices, highest first; of those wanted, where these are given. */
function best(
  scores: readonly number[],
  count: number,
  wanted: readonly number[] = [...scores.keys()],
): [index: number, score: number][] {
  const order = wanted.map((id): [number, number] => [id, scores[id]!]).sort(([, a], [, b]) => b - a)
  return order.slice(0, count)
}
