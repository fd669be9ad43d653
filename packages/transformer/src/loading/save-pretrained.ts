import {
  checkOptionNames,
  encodeFloatsInTurns,
  type FloatFileDtype,
  HeedError,
  type QuantizedWeight,
  shown,
  tf,
  type WritableTensor,
  writeFileAtomic,
  writeShardedSafetensors,
} from '@heed/tensor-backend'
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
 * Each file appears complete or not at all. Throws HEED_ARGUMENT_INVALID, HEED_IO, HEED_NUMERIC, HEED_DTYPE_UNSUPPORTED.
 */
export async function savePretrained(model: PretrainedModel, folder: string, options: SaveOptions = {}): Promise<void> {
  checkOptionNames('savePretrained', options, ['dtype', 'maxShardSize'] satisfies (keyof SaveOptions)[])
  const { dtype = 'F32', maxShardSize } = options
  if (typeof folder !== 'string' || folder === '') {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `savePretrained: folder is ${shown(folder)}, expected the path of a folder.`,
    )
  }
  if (!Object.hasOwn(torchDtypes, dtype)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `savePretrained: dtype is ${JSON.stringify(dtype)}, expected one of ${Object.keys(torchDtypes).join(', ')}.`,
    )
  }
  if (model.adapters.length > 0) {
    throw new HeedError(
      'HEED_DTYPE_UNSUPPORTED',
      `savePretrained: ${model.adapters.length} adapters of the model are beside its weights, expected weights that take them. ` +
        "Load it with dtype: 'float32'.",
    )
  }
  const { dtype: readAsDtype, torch_dtype: _replaced, ...config } = model.configToHf()
  const state = new Map<string, tf.Tensor | WritableTensor>(model.stateDict())
  for (const [key, weight] of dequantizedWeights(model, dtype)) state.set(key, weight)
  await writeShardedSafetensors(folder, state, { dtype, ...(maxShardSize !== undefined && { maxShardSize }) })
  const generation = hfJsonText(generationConfigToHf(model), generationFloatKeys)
  await writeFileAtomic(`${folder}/generation_config.json`, generation)
  // transformers 5 calls it dtype, 4 torch_dtype, which 5 reads as well: it keeps the name under which it was read.
  const dtypeKey = readAsDtype === undefined ? 'torch_dtype' : 'dtype'
  const saved = { ...config, architectures: [model.architecture], [dtypeKey]: torchDtypes[dtype] }
  await writeFileAtomic(`${folder}/config.json`, hfJsonText(saved, model.config.floatKeys))
}

/** Weights in few bits as the float32 numbers that they stand for, each under the first of its keys. */
function dequantizedWeights(model: PretrainedModel, dtype: FloatFileDtype): Map<string, WritableTensor> {
  const weights = new Map<string, WritableTensor>()
  const seen = new Set<QuantizedWeight>()
  for (const [key, weight] of model.quantizedWeights()) {
    if (seen.has(weight)) continue
    seen.add(weight)
    const bytes = async (): Promise<Uint8Array> => {
      const tensor = weight.dequantize()
      const values = (await tensor.data()) as Float32Array
      tf.dispose(tensor)
      return encodeFloatsInTurns(values, dtype, key)
    }
    weights.set(key, { dtype, shape: weight.shape, bytes })
  }
  return weights
}
