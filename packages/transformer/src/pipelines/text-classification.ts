import { tf } from '@heed/tensor-backend'
import type { SequenceClassifier } from '../auto.ts'
import type { ProblemType } from '../config-fields.ts'
import { countOrAll, type Rule, type Rules, texts } from './options.ts'
import { encodeTexts, probabilities, type TextModel, type TextOrPair } from './text-batch.ts'

export interface TextClassificationOptions {
  /** How many labels, likeliest first; 1 by default, `null` for all. */
  topK?: number | null
}

export const textClassificationOptions: Rules<TextClassificationOptions> = { topK: countOrAll }

export const textOrPairRule: Rule = {
  text: 'a text, or a pair of texts as [text, pair]',
  holds: value => typeof value === 'string' || (texts.holds(value) && (value as string[]).length === 2),
}

export interface LabelScore {
  label: string
  score: number
}

interface ClassifierConfig {
  labels: readonly string[]
  problemType: ProblemType | null
}

/** Labels of texts, or of pairs of texts, with their probabilities; each label's own where several may hold, as in HF. */
export async function classifyTexts(
  { model, tokenizer }: TextModel<SequenceClassifier>,
  inputs: readonly TextOrPair[],
  { topK = 1 }: TextClassificationOptions = {},
): Promise<LabelScore[][]> {
  const { labels, problemType } = model.config as unknown as ClassifierConfig
  const { inputs: batch } = encodeTexts({ model, tokenizer }, inputs)
  const logits = tf.tidy(() => model.forward(batch).logits)
  const values = await logits.data()
  logits.dispose()
  return inputs.map((_, i) => {
    const row = values.slice(i * labels.length, (i + 1) * labels.length)
    const scores = scoresOf(row, problemType)
    const list = labels.map((label, j) => ({ label, score: scores[j]! }))
    return list.sort((a, b) => b.score - a.score).slice(0, topK ?? labels.length)
  })
}

function scoresOf(logits: ArrayLike<number>, problemType: ProblemType | null): number[] {
  if (problemType === 'regression') return Array.from(logits)
  if (problemType === 'multi_label_classification' || logits.length === 1) {
    return Array.from(logits, logit => 1 / (1 + Math.exp(-logit)))
  }
  return probabilities(logits)
}
