import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HeedError, ifFound } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import { checkNoOtherRun, type LoraConfig, lastCheckpoint } from '@heed/trainer'
import { type HfConfig, openAdapter, openPretrained } from '@heed/transformer'
import { transformerConfig } from 'heed'
import type { TrainRecipe } from './commands/train.ts'
import { newTokenizer } from './corpus.ts'
import type { TranslationRecipe } from './recipe.ts'
import type { RunFlags } from './training-options.ts'

/** Sizes of a new model, with their names in config.json. */
const sizes = {
  hiddenSize: 'hidden_size',
  intermediateSize: 'intermediate_size',
  numHiddenLayers: 'num_hidden_layers',
  numAttentionHeads: 'num_attention_heads',
  numKeyValueHeads: 'num_key_value_heads',
  blockSize: 'max_position_embeddings',
} as const

/** What a recipe's model computes by. Dropout and smoothing are not among it: as the learning rate, they may change on the way. */
const ofModel = [
  'hiddenSize',
  'intermediateSize',
  'encoderLayers',
  'decoderLayers',
  'numAttentionHeads',
  'hiddenAct',
  'layerNormEps',
  'isPreNorm',
  'hasFinalNorm',
  'shareEmbeddings',
  'tieWordEmbeddings',
] as const

/**
 * Throws HEED_IO when a run goes on in `out`, and HEED_ARGUMENT_INVALID when a new one would write over an earlier one: over its
 * checkpoints, or over its results, folders in it.
 */
export async function checkPlaceOfRun({ out, resume, overwrite }: RunFlags, results: readonly string[]): Promise<void> {
  if (!existsSync(out)) return
  await checkNoOtherRun(out)
  if (resume || overwrite) return
  const found = (await lastCheckpoint(out)) ?? results.map(name => join(out, name)).find(existsSync)
  if (found === undefined) return
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `--out is ${out}, which holds ${found} of an earlier run, expected a folder without one. ` +
      'Go on with that run by --resume, write over it by --overwrite, or choose another folder.',
  )
}

/** The config.json of the newest checkpoint of a run; undefined where it stopped before the first one, and begins again. */
async function configOfRun(out: string): Promise<HfConfig | undefined> {
  const checkpoint = await lastCheckpoint(out)
  return checkpoint === undefined ? undefined : (await openPretrained(checkpoint)).config
}

/** Throws HEED_ARGUMENT_INVALID when the model that is made anew for a run to go on has not the sizes of its checkpoint. */
export async function checkSizesOfRun(recipe: TrainRecipe): Promise<void> {
  const config = await configOfRun(recipe.out)
  if (!config) return
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
 * Throws HEED_ARGUMENT_INVALID when the run that is to go on by a recipe has more tokens than the recipe asks for (its texts may
 * have had fewer), or a checkpoint that computes another way than the recipe's model.
 */
export async function checkRunOfRecipe(
  { tokenizer, model }: TranslationRecipe,
  own: Tokenizer,
  out: string,
): Promise<void> {
  if (own.vocabSize > tokenizer.vocabSize) {
    throw refusal("the recipe's tokenizer.vocabSize", tokenizer.vocabSize, `at least ${own.vocabSize}`, out)
  }
  const config = await configOfRun(out)
  if (!config) return
  const [asked, begun] = [transformerConfig.complete(model), transformerConfig.fromHf(config, out)]
  const name = ofModel.find(each => asked[each] !== begun[each])
  if (name) throw refusal(`the recipe's model.${name}`, asked[name], begun[name], out)
}

/** What adapters of one shape compute by, as the command line or a recipe names it. */
const ofAdapter = { r: '--lora-r', loraAlpha: '--lora-alpha', useRslora: "the recipe's lora.useRslora" } as const

/** Throws HEED_ARGUMENT_INVALID when the adapters of the run that is to go on compute another way than those that are asked for. */
export async function checkAdapterOfRun(asked: LoraConfig, out: string): Promise<void> {
  const checkpoint = await lastCheckpoint(out)
  const begun = checkpoint === undefined ? undefined : await ifFound(() => openAdapter(checkpoint))
  if (!begun) return
  for (const [name, shown] of Object.entries(ofAdapter) as [keyof typeof ofAdapter, string][]) {
    const [own, given] = [begun.config[name], asked[name]]
    if (own !== given) throw refusal(shown, given, own, out, 'heed finetune')
  }
}

/** What to do about what is not as the run began. */
export const mendOfRun = 'Give what the run began with, or begin another with --overwrite.'

const flag = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`

const refusal = (name: string, value: unknown, own: unknown, out: string, command = 'heed train'): HeedError =>
  new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${command}: ${name} is ${value}, expected ${own} as in the run in ${out}, with --resume. ${mendOfRun}`,
  )
