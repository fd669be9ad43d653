/** Spaces that English spelling does not have, in the order in which HF takes them away. */
const replacements: readonly (readonly [from: string, to: string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
]

/** Closes up punctuation and contractions of English; `clean_up_tokenization` of transformers. */
export function closeUpEnglish(text: string): string {
  return replacements.reduce((current, [from, to]) => current.replaceAll(from, to), text)
}
