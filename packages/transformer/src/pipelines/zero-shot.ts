import type { BareModel } from '../auto.ts'
import { extractFeatures } from './feature-extraction.ts'
import { checkOptions, type Rules, textOrTexts } from './options.ts'
import { probabilities, type TextModel } from './text-batch.ts'

export interface ZeroShotOptions {
  /** A list, or a text with commas between the labels. */
  candidateLabels: readonly string[] | string
  /** `{}` is where a label goes: 'This text is about {}.' by default. */
  hypothesisTemplate?: string
}

export const zeroShotOptions: Rules<ZeroShotOptions> = {
  candidateLabels: { ...textOrTexts, text: 'at least one label', mend: 'Name the labels to choose from.' },
  hypothesisTemplate: {
    text: 'a text with {} in it',
    holds: value => typeof value === 'string' && value.includes('{}'),
    mend: 'Put {} where the label goes.',
  },
}

export interface ZeroShotResult {
  sequence: string
  /** Likeliest first. */
  labels: string[]
  /** They sum to 1. */
  scores: number[]
}

/** How sharply similarities, which lie between -1 and 1, become probabilities: CLIP's learned factor (Radford et al. 2021). */
const SHARPNESS = 100

/** Sorts texts by labels they were not trained on: by the cosine of text and label, each embedded by mean pooling. Throws HEED_ARGUMENT_INVALID. */
export async function zeroShotByEmbeddings(
  parts: TextModel<BareModel>,
  texts: readonly string[],
  { candidateLabels = [], hypothesisTemplate = 'This text is about {}.' }: Partial<ZeroShotOptions>,
): Promise<ZeroShotResult[]> {
  const named = typeof candidateLabels === 'string' ? candidateLabels.split(',') : candidateLabels
  const labels = named.map(label => label.trim()).filter(label => label !== '')
  checkOptions('zero-shot-classification', zeroShotOptions, { candidateLabels: labels })
  const hypotheses = labels.map(label => hypothesisTemplate.replace('{}', () => label))
  const options = { pooling: 'mean', normalize: true } as const
  const vectors = (await extractFeatures(parts, [...texts, ...hypotheses], options)) as number[][]
  const labelVectors = vectors.slice(texts.length)
  return texts.map((sequence, i) => {
    const cosines = labelVectors.map(label => label.reduce((sum, value, j) => sum + value * vectors[i]![j]!, 0))
    const scores = probabilities(cosines.map(cosine => SHARPNESS * cosine))
    const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!)
    return { sequence, labels: order.map(j => labels[j]!), scores: order.map(j => scores[j]!) }
  })
}
