import { tf } from '@heed/tensor-backend'
import type { BareModel } from '../auto.ts'
import { invalidArgument } from '../invalid-argument.ts'
import { flag, oneOf, type Rules } from './options.ts'
import { encodeTexts, type TextModel } from './text-batch.ts'

export interface FeatureExtractionOptions {
  /** One vector a text: the mean over its tokens, or that of its first token. By default a vector for each token. */
  pooling?: 'none' | 'mean' | 'cls'
  /** Scales each vector to length 1; it needs a pooling. */
  normalize?: boolean
}

export const featureExtractionOptions: Rules<FeatureExtractionOptions> = {
  pooling: oneOf('none', 'mean', 'cls'),
  normalize: flag,
}

/** Last hidden states of texts: [1][tokens][hiddenSize] each, as HF has them, or one vector each when pooled. Throws HEED_ARGUMENT_INVALID. */
export async function extractFeatures(
  { model, tokenizer }: TextModel<BareModel>,
  texts: readonly string[],
  { pooling = 'none', normalize = false }: FeatureExtractionOptions = {},
): Promise<number[][][][] | number[][]> {
  if (normalize && pooling === 'none') {
    const mend = "Set pooling to 'mean' or 'cls', or leave normalize out."
    throw invalidArgument('feature-extraction', 'normalize', true, 'a pooling with it', mend)
  }
  const { encodings, inputs } = encodeTexts({ model, tokenizer }, texts)
  const states = tf.tidy(() => model.forward(inputs).lastHiddenState) // [batch, seqLen, hiddenSize]
  const values = (await states.array()) as number[][][]
  states.dispose()
  const rows = values.map((tokens, i) => tokens.filter((_, j) => encodings[i]!.attentionMask[j] === 1))
  if (pooling === 'none') return rows.map(tokens => [tokens])
  const pooled = rows.map(tokens => (pooling === 'cls' ? tokens[0]! : meanOf(tokens)))
  return normalize ? pooled.map(unitVector) : pooled
}

function meanOf(vectors: readonly number[][]): number[] {
  return vectors[0]!.map((_, i) => vectors.reduce((sum, vector) => sum + vector[i]!, 0) / vectors.length)
}

function unitVector(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector) || 1
  return vector.map(value => value / length)
}
