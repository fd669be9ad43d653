import { Tokenizer } from '@heed/tokenizer'
import { isFile } from '../../path-kind.ts'

/** How commands describe the tokenizer that they take. */
export const tokenizerArgument = 'a folder, a tokenizer.json, or a .model, .tiktoken, .gguf or vocab.txt file'

/** Throws as `Tokenizer.fromFile` and `Tokenizer.fromPretrained`. */
export async function loadTokenizer(source: string): Promise<Tokenizer> {
  return (await isFile(source)) ? Tokenizer.fromFile(source) : Tokenizer.fromPretrained(source)
}
