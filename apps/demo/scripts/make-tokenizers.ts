/**
 * Trains the tokenizers that the site brings along, on Tiny Shakespeare:
 * node --import ./tooling/scripts/typescript-register.mjs apps/demo/scripts/make-tokenizers.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { bertSpecialTokens } from '@heed/tokenizer'
import { emptyTokenizer, type TrainingMethod, trainerOf } from '../src/worker/training-methods.ts'

const vocabSize = 2048
const lines = readFileSync(new URL('../../../data/tiny-shakespeare.txt', import.meta.url), 'utf8').split(/(?<=\n)/)

for (const method of ['BPE', 'WordPiece', 'Unigram'] satisfies TrainingMethod[]) {
  const tokenizer = emptyTokenizer(method)
  await trainerOf(method, vocabSize, bertSpecialTokens).train(tokenizer, lines)
  const file = new URL(`../public/tokenizers/${method.toLowerCase()}.json`, import.meta.url)
  writeFileSync(file, `${JSON.stringify(tokenizer)}\n`)
}
