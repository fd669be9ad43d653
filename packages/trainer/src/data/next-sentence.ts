import { Random } from '@heed/layers'
import { HeedError } from '@heed/tensor-backend'
import { checkNumber } from '../checks.ts'
import { type Collator, type MaskedLmExample, type MaskedLmOptions, maskedLmCollator } from './collators.ts'

/** Two stretches of text, `[CLS] a [SEP] b [SEP]`. */
export interface NextSentenceExample extends MaskedLmExample {
  /** 0 when the second follows the first, 1 when it is from another document; as in HF. */
  nextSentenceLabel: 0 | 1
}

export interface NextSentenceOptions {
  clsTokenId: number
  sepTokenId: number
  /** Of both stretches with their special tokens. */
  maxLength: number
  seed?: number
}

/** The ids of a document's sentences. */
export type DocumentSentences = ReadonlyArray<readonly number[]>

/**
 * Cuts documents into pairs for the next sentence prediction of BERT: sentences as many as fit, split at a random place; in half
 * of the pairs the second stretch is from another document, and what it stands in for is used again. Devlin et al. 2018
 * (arXiv:1810.04805), section 3.1 and their `create_pretraining_data.py`. Same seed, same pairs. Throws HEED_ARGUMENT_INVALID.
 */
export function nextSentencePairs(
  documents: readonly DocumentSentences[],
  { clsTokenId, sepTokenId, maxLength, seed = 42 }: NextSentenceOptions,
): NextSentenceExample[] {
  checkNumber('nextSentencePairs', 'maxLength', maxLength, { min: 5, isInteger: true })
  const full = documents
    .map(sentences => sentences.filter(({ length }) => length > 0))
    .filter(({ length }) => length > 0)
  if (full.length < 2) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `nextSentencePairs: documents with text are ${full.length}, expected at least 2. A pair of strangers needs two.`,
    )
  }
  const random = new Random(seed)
  const room = maxLength - 3
  const build = (a: number[], b: number[], nextSentenceLabel: 0 | 1): NextSentenceExample => {
    truncatePair(a, b, room, random)
    const inputIds = [clsTokenId, ...a, sepTokenId, ...b, sepTokenId]
    const isSpecial = inputIds.map((_, i) => (i === 0 || i === a.length + 1 || i === inputIds.length - 1 ? 1 : 0))
    return {
      inputIds,
      tokenTypeIds: inputIds.map((_, i) => (i < a.length + 2 ? 0 : 1)),
      specialTokensMask: isSpecial,
      nextSentenceLabel,
    }
  }
  return full.flatMap((sentences, index) => {
    const examples: NextSentenceExample[] = []
    for (let at = 0; at < sentences.length; ) {
      const end = chunkEnd(sentences, at, room)
      const numInA = end - at > 1 ? 1 + (random.uint32() % (end - at - 1)) : 1
      const a = sentences.slice(at, at + numInA).flat()
      const isStranger = end - at === 1 || random.uniform() < 0.5
      if (isStranger) {
        const other = full[(index + 1 + (random.uint32() % (full.length - 1))) % full.length]!
        const from = random.uint32() % other.length
        examples.push(build(a, other.slice(from, chunkEnd(other, from, room - a.length)).flat(), 1))
        at += numInA
      } else {
        examples.push(build(a, sentences.slice(at + numInA, end).flat(), 0))
        at = end
      }
    }
    return examples
  })
}

/** Sentences from `start` on until they have `length` tokens, one at least. */
function chunkEnd(sentences: DocumentSentences, start: number, length: number): number {
  let end = start
  let tokens = 0
  do tokens += sentences[end++]!.length
  while (end < sentences.length && tokens < length)
  return end
}

/** Takes tokens off the longer one, at random from either end, until both fit. */
function truncatePair(a: number[], b: number[], room: number, random: Random): void {
  while (a.length + b.length > room) {
    const longer = a.length > b.length ? a : b
    if (random.uniform() < 0.5) longer.shift()
    else longer.pop()
  }
}

/** Masks tokens as `maskedLmCollator`, and brings the labels of next sentence prediction: for `BertForPreTraining`. */
export function nextSentenceCollator(options: MaskedLmOptions): Collator<NextSentenceExample> {
  const mask = maskedLmCollator(options)
  return (examples, seed) => {
    const { inputs, ...batch } = mask(examples, seed)
    const values = Int32Array.from(examples, example => example.nextSentenceLabel)
    return { ...batch, inputs: { ...inputs, nextSentenceLabel: { values, shape: [values.length] } } }
  }
}
