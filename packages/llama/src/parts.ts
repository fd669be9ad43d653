/** What a relative of LLaMA may bring in the place of LLaMA's own parts. */
import type { AttentionCache, AttentionStep, LayerPart, Module, RotaryAngles, RotaryEmbedding } from '@heed/layers'
import type { tf } from '@heed/tensor-backend'
import type { ConfigTable } from '@heed/transformer'
import type { LlamaConfig } from './config.ts'

/** What all layers of one kind share in a forward pass. */
export interface LlamaStep extends AttentionStep {
  /** None where positions do not turn anything. */
  rotary: RotaryAngles | undefined
  /** Positions at the end whose output is wanted; all by default. Keys and values are formed of all. */
  positionsToKeep?: number | undefined
}

/** Attention as a layer calls it, and a layer. x: [batch, seqLen, hiddenSize] -> same shape, or the positions to keep. */
export type AttentionPart = Module & { forward(x: tf.Tensor, step: LlamaStep, cache?: AttentionCache): tf.Tensor }

/** Parts that a relative's layer has in the place of LLaMA's; `mlpKey` is what files call its feed-forward part. */
export interface LlamaLayerParts {
  attention?: AttentionPart
  mlp?: LayerPart
  mlpKey?: string
  norm?: () => LayerPart
}

export interface LlamaAttentionOptions {
  /** Makes the norms of each head's query and key (Qwen3, Gemma 3). */
  headNorm?: () => LayerPart
  /** Factor of the scores, 1 / sqrt(headDim) by default, and their cap (Gemma 2). */
  scale?: number
  softcap?: number
}

/** What sets a relative apart: its row of configuration, and the parts that it builds another way. */
export interface Relative<C extends LlamaConfig = LlamaConfig> {
  /** HF's prefix of class names, `Llama` of `LlamaForCausalLM`; `textPrefix` of those without that head where it differs. */
  readonly prefix: string
  readonly textPrefix?: string
  readonly config: ConfigTable<C>
  layer(config: C, layerIdx: number): AttentionPart
  /** The norm after the last layer. */
  norm(config: C): LayerPart
  /** The angles of layers with a sliding window, where they are others. */
  localRotary?(config: C): RotaryEmbedding
  /** Applied to the embeddings and to the logits. */
  scaleEmbeddings?(x: tf.Tensor, config: C): tf.Tensor
  capLogits?(logits: tf.Tensor, config: C): tf.Tensor
}

export interface LlamaOptions {
  /** Seed of the first values of the parameters. */
  seed?: number
  /** LLaMA itself by default. */
  relative?: Relative
}
