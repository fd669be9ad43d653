import { HeedError } from '@heed/tensor-backend'
import type { BareModel } from '../auto.ts'
import { extractFeatures } from './feature-extraction.ts'
import { probabilities, type TextModel } from './text-batch.ts'

export interface ZeroShotOptions {
  candidateLabels: readonly string[]
  /** `{}` is where a label goes: 'This text is about {}.' by default. */
  hypothesisTemplate?: string
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

/** Sorts texts by labels they were not trained on: by the cosine of text and label, each embedded by mean pooling. */
export async function zeroShotByEmbeddings(
  parts: TextModel<BareModel>,
  texts: readonly string[],
  { candidateLabels, hypothesisTemplate = 'This text is about {}.' }: ZeroShotOptions,
): Promise<ZeroShotResult[]> {
  if (candidateLabels.length === 0) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      'zero-shot-classification: candidateLabels is [], expected at least one label. Name the labels to choose from.',
    )
  }
  const hypotheses = candidateLabels.map(label => hypothesisTemplate.replace('{}', () => label))
  const options = { pooling: 'mean', normalize: true } as const
  const vectors = (await extractFeatures(parts, [...texts, ...hypotheses], options)) as number[][]
  const labelVectors = vectors.slice(texts.length)
  return texts.map((sequence, i) => {
    const cosines = labelVectors.map(label => label.reduce((sum, value, j) => sum + value * vectors[i]![j]!, 0))
    const scores = probabilities(cosines.map(cosine => SHARPNESS * cosine))
    const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!)
    return { sequence, labels: order.map(j => candidateLabels[j]!), scores: order.map(j => scores[j]!) }
  })
}
