import type { CheckpointLocation, QuantizedWeight, TensorFile } from '@heed/tensor-backend'
import type { HfConfig } from '../hf-json.ts'
import type { AdapterCheckpoint } from './adapter.ts'

/** Tensors under HF's names; some may be had in the few bits that they are kept in. */
export interface CheckpointTensors extends TensorFile {
  /**
   * A matrix as it is kept, when kernels compute with it so; `isTable` where only rows of it are looked up. The caller disposes it.
   * Throws as `read`.
   */
  readQuantized?(name: string, options?: { isTable?: boolean }): Promise<QuantizedWeight | undefined>
}

/** A model as it lies in files, seen as HF would write it. */
export interface Checkpoint {
  /** The config.json. */
  readonly config: HfConfig
  /** Where it comes from, for messages. */
  readonly source: string
  /** The generation_config.json, if there is one. */
  readonly generation?: HfConfig | undefined
  openTensors(): Promise<CheckpointTensors>
  /** What comes on top of the tensors, in this order. */
  readonly adapters?: readonly AdapterCheckpoint[]
}

/** Another layout of checkpoints than HF's folders. */
export interface CheckpointFormat {
  readonly name: string
  /**
   * The checkpoint at a place, or undefined when it is not of this format; `overruled` are keys of config.json that the caller
   * knows better. Throws HEED_FILE_INVALID, HEED_CONFIG_INVALID, HEED_IO.
   */
  open(location: CheckpointLocation, overruled: HfConfig): Promise<Checkpoint | undefined>
}

const formats = new Map<string, CheckpointFormat>()

/** Makes formats known to `fromPretrained`; one registered before under the same name is replaced. */
export function registerCheckpointFormat(...entries: CheckpointFormat[]): void {
  for (const format of entries) formats.set(format.name, format)
}

/** The checkpoint at a place in the first of the registered formats that knows it. */
export async function openInFormat(location: CheckpointLocation, overruled: HfConfig): Promise<Checkpoint | undefined> {
  for (const format of formats.values()) {
    const checkpoint = await format.open(location, overruled)
    if (checkpoint) return checkpoint
  }
  return undefined
}
