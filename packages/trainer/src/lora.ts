import { Conv1D, LoraAdapter, type LoraConfig, type Module } from '@heed/layers'
import { type CheckpointLocation, HeedError, writeFileAtomic, writeSafetensors } from '@heed/tensor-backend'
import { loadAdapter, openAdapter } from '@heed/transformer'
import type { ModelInputs, TrainableModel, TrainingOutput } from './model.ts'
import { renameKeys, snakeCase } from './trainer-state.ts'

export type { LoraConfig }

/**
 * A model whose weights stay as they are while small matrices beside some layers learn. Hu et al. 2021 (arXiv:2106.09685).
 * Train it as any model; it saves and loads adapters in PEFT's layout. See `LoraAdapter`.
 */
export class LoraModel<M extends Module & TrainableModel = Module & TrainableModel>
  extends LoraAdapter<M>
  implements TrainableModel
{
  /** As the model's. Throws HEED_CONFIG_INVALID when it passes a target by, which then could not learn. */
  forward(inputs: ModelInputs): TrainingOutput {
    const output = this.model.forward(inputs)
    const [path] = this.isMerged ? [] : this.unusedTargets
    if (path === undefined) return output
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `LoraConfig: target_modules include ${path}, expected layers that the model calls: it uses this weight directly. Leave it out.`,
    )
  }

  /** Writes `adapter_model.safetensors` and `adapter_config.json` for PEFT. Throws HEED_IO. */
  async savePretrained(folder: string): Promise<void> {
    const { targetModules, modulesToSave, baseModelNameOrPath, taskType, ...config } = this.config
    await writeSafetensors(`${folder}/adapter_model.safetensors`, this.stateDict())
    const json = {
      ...renameKeys<unknown>(config, snakeCase),
      base_model_name_or_path: baseModelNameOrPath,
      bias: 'none',
      fan_in_fan_out: [...this.targets.values()].some(layer => layer instanceof Conv1D),
      inference_mode: true,
      init_lora_weights: true,
      modules_to_save: modulesToSave.length > 0 ? modulesToSave : null,
      peft_type: 'LORA',
      target_modules: targetModules,
      task_type: taskType || null,
    }
    await writeFileAtomic(`${folder}/adapter_config.json`, `${JSON.stringify(json, null, 2)}\n`)
  }

  /**
   * A model with the adapter of a folder or hub id that PEFT or Heed wrote. Throws HEED_FILE_NOT_FOUND, HEED_CONFIG_INVALID,
   * HEED_STATE_DICT_MISMATCH.
   */
  static async fromPretrained<M extends Module & TrainableModel>(
    model: M,
    location: CheckpointLocation,
  ): Promise<LoraModel<M>> {
    return loadAdapter(model, await openAdapter(location), config => new LoraModel(model, config))
  }
}
