import { dirname, join, resolve } from 'node:path'
import { HeedError } from '@heed/tensor-backend'
import type { TrainingArguments } from '@heed/trainer'
import type { GenerationSettings, TransformerConfig } from '@heed/transformer'
import { checkKeys, readRecipeFile } from './recipe-file.ts'

/** Two sides of a parallel corpus, as paths. */
export interface ParallelPaths {
  source: string
  target: string
}

/** A translation model from a recipe file: data, tokenizer, model, training, and how its test is translated. */
export interface TranslationRecipe {
  task: 'translation'
  data: { train: ParallelPaths; validation: ParallelPaths; test?: ParallelPaths }
  tokenizer: { vocabSize: number; minFrequency?: number }
  /** As `transformerConfig` takes it; sizes of vocabulary and special tokens come from the tokenizer. */
  model: Partial<TransformerConfig>
  /** As `Trainer` takes them. */
  training: Partial<TrainingArguments>
  /** How many of the last checkpoints the saved model is the mean of; 1 takes the last as it is. */
  averageCheckpoints?: number
  /** Of the test, and from then on of the saved model. */
  generation?: GenerationSettings
}

const tasks = ['translation']
const keys = ['task', 'data', 'tokenizer', 'model', 'training', 'averageCheckpoints', 'generation']
const tokenizerKeys = ['vocabSize', 'minFrequency']

/**
 * Reads a recipe file, YAML by its ending and else JSON; its data lies in `dataFolder`, by default beside it. What the parts
 * may hold is checked by whom they are for. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID.
 */
export async function readRecipe(file: string, dataFolder: string = dirname(file)): Promise<TranslationRecipe> {
  const recipe = await readRecipeFile(file, keys)
  const invalid = (name: string, rule: string, mend: string): HeedError =>
    new HeedError(
      'HEED_CONFIG_INVALID',
      `${file}: ${name} is ${JSON.stringify(recipe[name])}, expected ${rule}. ${mend}`,
    )
  if (!tasks.includes(recipe.task as string)) {
    throw invalid('task', `one of ${tasks.join(', ')}`, 'Without a recipe, heed train makes a language model.')
  }
  checkKeys(file, '', recipe, keys)
  const objects = ['data', 'tokenizer', 'model', 'training']
  const missing = objects.find(key => typeof recipe[key] !== 'object' || recipe[key] === null)
  if (missing !== undefined) throw invalid(missing, 'an object', 'See examples/recipes.')
  checkKeys(file, 'tokenizer.', recipe.tokenizer as Record<string, unknown>, tokenizerKeys)
  return { ...(recipe as unknown as TranslationRecipe), data: dataPaths(file, recipe.data as object, dataFolder) }
}

/** The files of each split, found in `dataFolder`. */
function dataPaths(file: string, splits: object, dataFolder: string): TranslationRecipe['data'] {
  const known = ['train', 'validation', 'test']
  const paths = Object.entries(splits).map(([split, sides]) => {
    const { source, target } = sides ?? {}
    if (known.includes(split) && typeof source === 'string' && typeof target === 'string') {
      return [split, { source: resolve(join(dataFolder, source)), target: resolve(join(dataFolder, target)) }]
    }
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${file}: data.${split} is ${JSON.stringify(sides)}, expected data to have ${known.join(', ')}, each with the file names source and target.`,
    )
  })
  const data = Object.fromEntries(paths) as TranslationRecipe['data']
  if (data.train && data.validation) return data
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${file}: data has ${Object.keys(splits).join(', ') || 'nothing'}, expected at least train and validation. Add them.`,
  )
}
