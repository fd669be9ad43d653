import { Tokenizer } from '@heed/tokenizer'
import { isFile } from '../../path-kind.ts'

/** Throws as `Tokenizer.fromFile` and `Tokenizer.fromPretrained`. */
export async function loadTokenizer(source: string): Promise<Tokenizer> {
  return (await isFile(source)) ? Tokenizer.fromFile(source) : Tokenizer.fromPretrained(source)
}
