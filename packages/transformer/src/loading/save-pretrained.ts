import { type FloatFileDtype, writeFileAtomic, writeShardedSafetensors } from '@heed/tensor-backend'
import { generationConfigToHf, generationFloatKeys } from '../generation/config.ts'
import { hfJsonText } from '../hf-json.ts'
import type { PretrainedModel } from '../model.ts'

export interface SaveOptions {
  /** What float32 parameters are written as; F32 by default. */
  dtype?: FloatFileDtype
  /** Most bytes of tensors in one file, as a number or like '5GB'; 50 GB by default, as in transformers 5. */
  maxShardSize?: number | string
}

const torchDtypes: Readonly<Record<FloatFileDtype, string>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F64: 'float64',
}

/**
 * Writes a folder that `transformers` 4 and 5 load: weights first, config.json last, so that a folder with a config is whole.
 * Each file appears complete or not at all. Throws HEED_IO, HEED_NUMERIC.
 */
export async function savePretrained(
  model: PretrainedModel,
  folder: string,
  { dtype = 'F32', maxShardSize }: SaveOptions = {},
): Promise<void> {
  const { dtype: _replaced, ...config } = model.configToHf()
  const state = model.stateDict()
  await writeShardedSafetensors(folder, state, { dtype, ...(maxShardSize !== undefined && { maxShardSize }) })
  const generation = hfJsonText(generationConfigToHf(model), generationFloatKeys)
  await writeFileAtomic(`${folder}/generation_config.json`, generation)
  const saved = { ...config, architectures: [model.architecture], torch_dtype: torchDtypes[dtype] }
  await writeFileAtomic(`${folder}/config.json`, hfJsonText(saved, model.config.floatKeys))
}
