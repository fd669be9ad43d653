import { stat } from 'node:fs/promises'
import { Tokenizer } from '@heed/tokenizer'

/** How commands describe the tokenizer that they take. */
export const tokenizerArgument = 'a folder, a tokenizer.json, or a .model, .tiktoken, .gguf or vocab.txt file'

/** Throws as `Tokenizer.fromFile` and `Tokenizer.fromPretrained`. */
export async function loadTokenizer(source: string): Promise<Tokenizer> {
  const isFile = await stat(source).then(
    found => found.isFile(),
    () => false,
  )
  return isFile ? Tokenizer.fromFile(source) : Tokenizer.fromPretrained(source)
}
