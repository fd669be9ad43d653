import { HeedError } from '@heed/tensor-backend'
import { checkChoice, show } from './checks.ts'

/** exp(loss), loss in nats a token. */
export function perplexity(loss: number): number {
  return Math.exp(loss)
}

/** Bits that the model spends on a byte of text: loss in nats a token, bytes of text a token. Comparable between tokenizers. */
export function bitsPerByte(loss: number, bytesPerToken: number): number {
  return loss / Math.LN2 / bytesPerToken
}

/** Throws HEED_ARGUMENT_INVALID. */
function checkLengths(where: string, predictions: ArrayLike<number>, labels: ArrayLike<number>): void {
  for (const [name, values] of Object.entries({ predictions, labels })) {
    if (typeof values?.length === 'number') continue
    throw new HeedError('HEED_ARGUMENT_INVALID', `${where}: ${name} are ${show(values)}, expected a list of numbers.`)
  }
  if (predictions.length === labels.length) return
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: there are ${predictions.length} predictions, expected ${labels.length}, as many as labels. Give one for each label.`,
  )
}

/** The part of the predictions that are right; 0 of none. Throws HEED_ARGUMENT_INVALID when there are not as many labels. */
export function accuracy(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  checkLengths('accuracy', predictions, labels)
  let right = 0
  for (let i = 0; i < labels.length; i++) if (predictions[i] === labels[i]) right += 1
  return right / Math.max(1, labels.length)
}

/**
 * 2 · right / (predicted + present), of class 1 (`binary`) or as the mean over all classes that occur (`macro`).
 * Same numbers as scikit-learn's `f1_score`. Throws HEED_ARGUMENT_INVALID when there are not as many labels as predictions, or,
 * for `binary`, classes other than 0 and 1.
 */
export function f1Score(
  predictions: ArrayLike<number>,
  labels: ArrayLike<number>,
  average: 'binary' | 'macro' = 'binary',
): number {
  const of = (label: number): number => {
    let [right, counted] = [0, 0]
    for (let i = 0; i < labels.length; i++) {
      right += predictions[i] === label && labels[i] === label ? 1 : 0
      counted += (predictions[i] === label ? 1 : 0) + (labels[i] === label ? 1 : 0)
    }
    return counted === 0 ? 0 : (2 * right) / counted
  }
  checkLengths('f1Score', predictions, labels)
  checkChoice('f1Score', 'average', average, ['binary', 'macro'])
  const classes = [...new Set([...Array.from(predictions), ...Array.from(labels)])]
  if (average === 'binary') {
    const other = classes.find(label => label !== 0 && label !== 1)
    if (other === undefined) return of(1)
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `f1Score: a class is ${other}, expected 0 and 1 only for "binary". Choose "macro".`,
    )
  }
  return classes.reduce((sum, label) => sum + of(label), 0) / Math.max(1, classes.length)
}
