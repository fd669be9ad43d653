/** exp(loss), loss in nats a token. */
export function perplexity(loss: number): number {
  return Math.exp(loss)
}

/** Bits that the model spends on a byte of text: loss in nats a token, bytes of text a token. Comparable between tokenizers. */
export function bitsPerByte(loss: number, bytesPerToken: number): number {
  return loss / Math.LN2 / bytesPerToken
}

/** The part of the predictions that are right; 0 of none. */
export function accuracy(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  let right = 0
  for (let i = 0; i < labels.length; i++) if (predictions[i] === labels[i]) right += 1
  return right / Math.max(1, labels.length)
}

/**
 * 2 · right / (predicted + present), of class 1 (`binary`) or as the mean over all classes that occur (`macro`).
 * Same numbers as scikit-learn's `f1_score`.
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
  if (average === 'binary') return of(1)
  const classes = [...new Set([...Array.from(predictions), ...Array.from(labels)])]
  return classes.reduce((sum, label) => sum + of(label), 0) / Math.max(1, classes.length)
}
