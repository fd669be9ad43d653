import type { FinetuneOptions } from '../commands/finetune.ts'
import { printDryRun } from '../dry-run.ts'
import { exitCodes } from '../failure.ts'
import { completeRecipe, type GivenRecipe, readFinetuneRecipe } from '../finetune/recipe.ts'
import { dryRunFinetune, finetuneByRecipe } from '../finetune/run.ts'
import { checkOutputDir } from '../output-dir.ts'
import { checkPlaceOfRun } from '../resumed-run.ts'
import { argumentsOf } from '../training-options.ts'
import { withoutUndefined } from '../without-undefined.ts'

/** Teaches a model by a recipe, by options, or by both. Throws as `readFinetuneRecipe`, `completeRecipe` and `finetuneByRecipe`. */
export async function finetune(
  model: string | undefined,
  files: readonly string[],
  options: FinetuneOptions,
): Promise<void> {
  const isJson = options.json === true
  await checkOutputDir(options.out)
  const file = options.recipe === undefined ? {} : await readFinetuneRecipe(options.recipe, options.data)
  const recipe = await completeRecipe(file, givenBy(model, files, options))
  if (options.dryRun) return printDryRun(await dryRunFinetune(recipe, options), isJson)
  await checkPlaceOfRun(options, recipe.lora ? ['adapter', ...(recipe.merge ? ['model'] : [])] : ['model'])
  const result = await finetuneByRecipe(recipe, options)
  if (isJson) console.log(JSON.stringify({ event: 'done', ...result }))
  if (result.isInterrupted) process.exitCode = exitCodes.interrupted
}

/** What the command line says of a recipe; what it leaves open is absent. */
function givenBy(model: string | undefined, files: readonly string[], options: FinetuneOptions): GivenRecipe {
  const { task, blockSize, freezeLayers, quantize, merge, validation, validationSplit, epochs } = options
  const { recipe, data, split, config, textColumn, evalSplit } = options
  const train = [...files, ...(recipe === undefined && data !== undefined ? [data] : [])]
  const { loraR: r, loraAlpha, loraDropout, targetModules, samplePrompt: samplePrompts } = options
  const lora = withoutUndefined({ r, loraAlpha, loraDropout, targetModules })
  return {
    ...withoutUndefined({ model, task, blockSize, freezeLayers, quantize, merge, samplePrompts }),
    data: withoutUndefined({
      ...{ train: train.length > 0 ? train : undefined, split, config, textColumn },
      ...{ validation, evalSplit, validationSplit },
    }),
    ...(Object.keys(lora).length > 0 && { lora }),
    ...(options.dpoBeta !== undefined && { dpo: { beta: options.dpoBeta } }),
    training: { ...argumentsOf(options), ...withoutUndefined({ numTrainEpochs: epochs }) },
  }
}
