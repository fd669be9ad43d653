import { HeedError, type RawTensor, type TensorInfo, tensorFromRaw } from '@heed/tensor-backend'
import type { CheckpointTensors } from '@heed/transformer'

/** A tensor whose bytes are fetched when they are asked for. */
export interface LazyTensor extends TensorInfo {
  bytes(): Promise<Uint8Array>
}

/** Tensors of another layout as those of an HF folder; `close` frees what they are read from. */
export function lazyTensors(
  name: string,
  tensors: ReadonlyMap<string, LazyTensor>,
  close: () => Promise<void>,
): CheckpointTensors {
  async function readRaw(key: string): Promise<RawTensor> {
    const tensor = tensors.get(key)
    if (tensor) return { dtype: tensor.dtype, shape: tensor.shape, bytes: await tensor.bytes() }
    throw new HeedError('HEED_ARGUMENT_INVALID', `${name}: there is no tensor ${JSON.stringify(key)}.`)
  }
  return {
    name,
    tensors,
    readRaw,
    read: async key => tensorFromRaw(await readRaw(key), `${name}: tensor ${JSON.stringify(key)}`),
    close,
  }
}
