import { HeedError } from '@heed/tensor-backend'
import type { Seq2SeqExample } from './collators.ts'
import { Dataset } from './dataset.ts'
import { loadDataset } from './load-dataset.ts'

/** A text and its translation. */
export interface TextPair {
  source: string
  target: string
}

/** Files of a parallel corpus: line n of the one side is the translation of line n of the other. `.gz` and `.zst` are unpacked. */
export interface ParallelFiles {
  source: string | readonly string[]
  target: string | readonly string[]
}

/** The lines of two sides as pairs. Throws HEED_FILE_INVALID when one side has more lines, and as `loadDataset`. */
export async function loadParallelText({ source, target }: ParallelFiles): Promise<Dataset<TextPair>> {
  const lines = async (files: string | readonly string[]): Promise<string[]> =>
    Array.from(await loadDataset('text', { dataFiles: files }), row => row.text as string)
  const sources = await lines(source)
  const targets = await lines(target)
  if (sources.length !== targets.length) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${[target].flat().join(', ')}: number of lines is ${targets.length}, expected ${sources.length} as in ${[source].flat().join(', ')}. ` +
        'Each line must be the translation of the same line of the other side.',
    )
  }
  return Dataset.from(sources.map((text, i) => ({ source: text, target: targets[i]! })))
}

/** What encoding pairs needs of a tokenizer; `Tokenizer` of `@heed/tokenizer` has it. */
export interface PairTokenizer {
  encode(text: string): { ids: ArrayLike<number> }
}

/** Pairs as ids, with the special tokens that the tokenizer adds: the target must end with the model's end token. */
export function encodePairs(pairs: Dataset<TextPair>, tokenizer: PairTokenizer): Promise<Dataset<Seq2SeqExample>> {
  return pairs.map(({ source, target }) => ({
    inputIds: tokenizer.encode(source).ids,
    labels: tokenizer.encode(target).ids,
  }))
}
