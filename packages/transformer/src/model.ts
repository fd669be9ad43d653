import { type BatchCache, type KvCache, type LoraAdapter, Module } from '@heed/layers'
import type { tf } from '@heed/tensor-backend'
import type { CacheOptions } from './cache-options.ts'
import { type GenerationConfig, noGenerationConfig } from './generation/config.ts'
import { generate } from './generation/generate.ts'
import type { GenerateOutput } from './generation/output.ts'
import type { GenerateOptions } from './generation/plan.ts'
import type { BaseConfig } from './hf-config.ts'
import type { HfConfig } from './hf-json.ts'
import type { TokenIds } from './inputs.ts'
import { type SaveOptions, savePretrained } from './loading/save-pretrained.ts'
import type { TokenLabels } from './predict-tokens.ts'

/** A model with a configuration, that HF folders are read into and written from. */
export abstract class PretrainedModel extends Module {
  abstract readonly config: BaseConfig
  /** HF's name of the class, as in `architectures` of config.json. */
  abstract readonly architecture: string
  /** Key of the part that models with a head share, as `model` or `bert`; HF's `base_model_prefix`. */
  abstract readonly baseModelPrefix: string
  /** What generation_config.json says. */
  generationConfig: GenerationConfig = noGenerationConfig
  /** Loaded adapters that stay beside the weights, as these are in few bits or shared. They are freed with the model. */
  readonly adapters: LoraAdapter[] = []

  /** The config.json of this model, without the keys that saving adds. */
  abstract configToHf(): HfConfig

  /** Whether a key belongs to a head, which a checkpoint of another class may lack or have beside. */
  isHeadKey(key: string): boolean {
    const prefix = `${this.baseModelPrefix}.`
    return !key.startsWith(prefix) && Array.from(this.parameterKeys()).some(([name]) => name.startsWith(prefix))
  }

  /** Whether a checkpoint of this very class may lack a key, which then begins at random. */
  isOptionalKey(_key: string): boolean {
    return false
  }

  /** Whether a key of a checkpoint holds what this model computes, so that it is passed over. */
  isIgnoredKey(_key: string): boolean {
    return false
  }

  /**
   * Writes config.json, generation_config.json and model.safetensors as `transformers` does. Throws HEED_IO, HEED_NUMERIC, and
   * HEED_DTYPE_UNSUPPORTED when adapters are beside the weights.
   */
  savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    return savePretrained(this, folder, options)
  }

  override dispose(): void {
    for (const adapter of this.adapters) adapter.dispose()
    super.dispose()
  }
}

export interface DecoderInputs {
  /** Ids of the tokens: int32 [batch, seqLen] or nested arrays, as are all below. */
  inputIds: TokenIds
  /** 1 for tokens, 0 for padding, [batch, keyLen]: what the cache holds, then the new tokens. */
  attentionMask?: TokenIds | undefined
  /** Counted from the length of the cache by default. */
  positionIds?: TokenIds | undefined
  /** Keys and values of earlier tokens; the call appends those of `inputIds`. A `BatchCache` needs `positionIds` beside it. */
  cache?: KvCache | BatchCache | undefined
  /** How long the text is when a part of it is read: where angles of positions depend on that, they are those of the whole. */
  textLength?: number | undefined
  outputHiddenStates?: boolean | undefined
  outputAttentions?: boolean | undefined
}

/** The labels are shifted inside, as in HF. */
export interface CausalLmInputs extends DecoderInputs, TokenLabels {
  /** How many of the last positions to give logits for; all by default. */
  logitsToKeep?: number | undefined
}

/** Outputs are plain objects of tensors, which `tf.tidy` and `tf.dispose` take. */
export type InnerStates = {
  /** The embeddings, then the output of each layer, the last one after the final norm. */
  hiddenStates?: tf.Tensor[] // [batch, seqLen, hiddenSize]
  attentions?: tf.Tensor[] // [batch, numHeads, seqLen, keyLen]
}

export type BaseModelOutput = InnerStates & {
  lastHiddenState: tf.Tensor // [batch, seqLen, hiddenSize]
}

export type CausalLmOutput = InnerStates & {
  logits: tf.Tensor // [batch, seqLen, vocabSize], or as `sparsePrediction` says
  /** Mean cross-entropy in nats; there when labels were given. */
  loss?: tf.Scalar
}

/** A model that predicts each token from those before it. */
export abstract class CausalLm extends PretrainedModel {
  abstract override readonly config: BaseConfig & { readonly vocabSize: number }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  abstract forward(inputs: CausalLmInputs): CausalLmOutput

  /** An empty cache for this model, with room for `capacity` positions before it grows. Throws HEED_ARGUMENT_INVALID. */
  abstract createCache(capacity?: number, options?: CacheOptions): KvCache

  /**
   * The longest text whose positions turn keys by the same angles as in a text of `textLength` tokens: beyond it, a key made
   * before is another one than the whole text would give.
   */
  sameAnglesUpTo(_textLength: number): number {
    return Number.POSITIVE_INFINITY
  }

  /**
   * The prompts with their continuations; see `GenerateOptions`. With `returnDictInGenerate` these are the `sequences` of a
   * `GenerateOutput`. Throws HEED_ARGUMENT_INVALID, HEED_ID_OUT_OF_RANGE, HEED_ABORTED.
   */
  generate(inputIds: TokenIds, options: GenerateOptions & { returnDictInGenerate: true }): Promise<GenerateOutput>
  generate(inputIds: TokenIds, options?: GenerateOptions): Promise<number[][]>
  async generate(inputIds: TokenIds, options: GenerateOptions = {}): Promise<number[][] | GenerateOutput> {
    const output = await generate(this, inputIds, options)
    return options.returnDictInGenerate ? output : output.sequences
  }
}
