/** exp(loss), loss in nats a token. */
export function perplexity(loss: number): number {
  return Math.exp(loss)
}

/** Bits that the model spends on a byte of text: loss in nats a token, bytes of text a token. Comparable between tokenizers. */
export function bitsPerByte(loss: number, bytesPerToken: number): number {
  return loss / Math.LN2 / bytesPerToken
}
