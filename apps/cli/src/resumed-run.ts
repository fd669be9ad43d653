import { HeedError } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import { lastCheckpoint } from '@heed/trainer'
import { openPretrained } from '@heed/transformer'
import type { TrainRecipe } from './commands/train.ts'
import { newTokenizer } from './corpus.ts'

/** Sizes of a new model, with their names in config.json. */
const sizes = {
  hiddenSize: 'hidden_size',
  intermediateSize: 'intermediate_size',
  numHiddenLayers: 'num_hidden_layers',
  numAttentionHeads: 'num_attention_heads',
  numKeyValueHeads: 'num_key_value_heads',
  blockSize: 'max_position_embeddings',
} as const

/** Throws HEED_ARGUMENT_INVALID when the model that is made anew for a run to go on has not the sizes of its checkpoint. */
export async function checkSizesOfRun(recipe: TrainRecipe): Promise<void> {
  const checkpoint = await lastCheckpoint(recipe.out)
  if (checkpoint === undefined) return // it stopped before the first one, and begins again
  const { config } = await openPretrained(checkpoint)
  for (const [name, key] of Object.entries(sizes) as [keyof typeof sizes, string][]) {
    if (config[key] !== recipe[name]) throw refusal(flag(name), recipe[name], config[key], recipe.out)
  }
}

/**
 * Throws HEED_ARGUMENT_INVALID when the tokenizer of the run that is to go on has not the size that is asked for, unless the
 * text gives no more tokens.
 */
export async function checkVocabSizeOfRun(
  { vocabSize: own }: Tokenizer,
  text: string,
  { out, vocabSize }: TrainRecipe,
): Promise<void> {
  if (own === vocabSize) return
  const isWhole = own < vocabSize && (await newTokenizer(text, vocabSize, true)).vocabSize === own
  if (!isWhole) throw refusal('--vocab-size', vocabSize, own, out)
}

/**
 * The same of a recipe, which asks for so many tokens at most: the texts may have had fewer. Throws HEED_ARGUMENT_INVALID where
 * the run has more.
 */
export function checkVocabSizeOfRecipe({ vocabSize: own }: Tokenizer, vocabSize: number, out: string): void {
  if (own > vocabSize) throw refusal("the recipe's tokenizer.vocabSize", vocabSize, `at least ${own}`, out)
}

/** What to do about what is not as the run began. */
export const mendOfRun = 'Give what the run began with, or begin another without --resume.'

const flag = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`

const refusal = (name: string, value: unknown, own: unknown, out: string): HeedError =>
  new HeedError(
    'HEED_ARGUMENT_INVALID',
    `heed train: ${name} is ${value}, expected ${own} as in the run in ${out}, with --resume. ${mendOfRun}`,
  )
