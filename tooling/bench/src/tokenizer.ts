import type { BenchCase } from './compare.ts'

const megabyte = 1_000_000

/** Sizes in bytes; `corpora.ts` makes the texts. */
const textSizes = { shakespeare: 1_115_394, mixed: 1_000_000, corpus: 10_000_000 }

const encodeCases = ['gpt2', 'bert', 'llama2', 'llama3'].flatMap(vocabulary =>
  (['shakespeare', 'mixed'] as const).flatMap(text =>
    (['', ' by lines'] as const).map(
      (by): BenchCase => ({
        title: `encode ${text}${by} with ${vocabulary}`,
        task: { name: 'encode', vocabulary, text, isByLines: by !== '' },
        repeats: 3,
        rate: seconds => textSizes[text] / megabyte / seconds,
        unit: 'MB/s',
      }),
    ),
  ),
)

const learnCases = ['bpe', 'wordpiece'].map(
  (vocabulary): BenchCase => ({
    title: `train 16k ${vocabulary} on 10 MB`,
    task: { name: 'learn', vocabulary, text: 'corpus' },
    repeats: 1,
    rate: seconds => textSizes.corpus / megabyte / seconds,
    unit: 'MB/s',
  }),
)

/** Text to ids, and a vocabulary of 16,000 tokens from 10 MB; one thread. */
export const tokenizerCases: BenchCase[] = [...encodeCases, ...learnCases]
