import { type CheckpointLocation, type LoadOptions, loadPretrained, readConfig } from './loading/from-pretrained.ts'
import type { CausalLm, PretrainedModel } from './model.ts'
import { findArchitecture, type Task } from './registry.ts'

interface AutoClass<M extends PretrainedModel> {
  /**
   * The model of an HF folder, in evaluation mode. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID,
   * HEED_STATE_DICT_MISMATCH, HEED_IO.
   */
  fromPretrained(location: CheckpointLocation, options?: LoadOptions): Promise<M>
}

function autoClass<M extends PretrainedModel>(task: Task): AutoClass<M> {
  return {
    async fromPretrained(location, options = {}) {
      const { config, source } = await readConfig(location, options)
      const { load } = findArchitecture(config, task, source)
      return (await loadPretrained(location, load, options)) as M
    },
  }
}

/** The bare model of a folder, without a head. */
export const AutoModel: AutoClass<PretrainedModel> = autoClass('base')
/** A model that writes on: LLaMA, GPT-2 and the like. */
export const AutoModelForCausalLM: AutoClass<CausalLm> = autoClass('causal-lm')
