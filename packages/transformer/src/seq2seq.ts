import { KvCache } from '@heed/layers'
import { crossEntropy, tf } from '@heed/tensor-backend'
import { type CacheOptions, kvCacheOptions } from './cache-options.ts'
import { paddingMask } from './decoder-inputs.ts'
import type { EncoderInputs } from './encoder-inputs.ts'
import { generateFromSource } from './generation/generate.ts'
import type { GenerateOutput } from './generation/output.ts'
import type { GenerateOptions } from './generation/plan.ts'
import type { BaseConfig } from './hf-config.ts'
import { flattenIds, IGNORE_INDEX, idRows, idTensor, readLabels, type TokenIds } from './inputs.ts'
import { type BaseModelOutput, PretrainedModel } from './model.ts'

/** The caches of a decoder: of its own tokens, and of the keys and values it reads from the encoder. */
export class Seq2SeqCache {
  readonly self: KvCache
  readonly cross: KvCache

  constructor(numLayers: number, capacity?: number, options?: CacheOptions) {
    this.self = new KvCache(numLayers, kvCacheOptions(capacity, options))
    this.cross = new KvCache(numLayers, kvCacheOptions(1, options))
  }

  dispose(): void {
    this.self.dispose()
    this.cross.dispose()
  }
}

/** One pass of a decoder over new tokens. */
export interface DecoderPass {
  inputIds: TokenIds
  /** What the encoder made of the source, [batch, sourceLen, hiddenSize]. */
  memory: tf.Tensor
  /** 1 for tokens of the source, 0 for padding, [batch, sourceLen]. */
  memoryMask?: TokenIds | undefined
  /** As `attentionMask` of a decoder-only model. */
  attentionMask?: TokenIds | undefined
  cache?: Seq2SeqCache | undefined
  outputHiddenStates?: boolean | undefined
  outputAttentions?: boolean | undefined
  logitsToKeep?: number | undefined
}

export type DecoderPassOutput = {
  logits: tf.Tensor // [batch, seqLen, vocabSize]
  hiddenStates?: tf.Tensor[]
  attentions?: tf.Tensor[]
  /** Weights of each layer over the source, [batch, numHeads, seqLen, sourceLen]. */
  crossAttentions?: tf.Tensor[]
}

export interface Seq2SeqInputs extends EncoderInputs {
  /** The target so far; by default the labels, each moved one place to the right behind the start token. */
  decoderInputIds?: TokenIds | undefined
  decoderAttentionMask?: TokenIds | undefined
  /** Ids to predict, not shifted, as in HF. -100 does not count. */
  labels?: TokenIds | undefined
}

export type Seq2SeqOutput = {
  logits: tf.Tensor // [batch, targetLen, vocabSize]
  /** Mean cross-entropy in nats; there when labels were given. */
  loss?: tf.Scalar
  encoderLastHiddenState: tf.Tensor // [batch, sourceLen, hiddenSize]
  encoderHiddenStates?: tf.Tensor[]
  encoderAttentions?: tf.Tensor[]
  decoderHiddenStates?: tf.Tensor[]
  decoderAttentions?: tf.Tensor[]
  crossAttentions?: tf.Tensor[]
}

export interface Seq2SeqConfig extends BaseConfig {
  readonly vocabSize: number
  readonly padTokenId: number | null
  readonly eosTokenId: readonly number[]
  /** The token a target begins with. */
  readonly decoderStartTokenId: number | null
}

/** A model that reads one sequence and writes another. */
export abstract class Seq2SeqLm extends PretrainedModel {
  abstract override readonly config: Seq2SeqConfig

  /** The encoder. */
  abstract encode(inputs: EncoderInputs): BaseModelOutput
  /** The decoder and its head. */
  abstract decode(pass: DecoderPass): DecoderPassOutput
  /** Empty caches for this model's decoder. */
  abstract createCache(capacity?: number, options?: CacheOptions): Seq2SeqCache

  /** Share of the probability that training takes from the label and spreads over all tokens. */
  protected get labelSmoothing(): number {
    return 0
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward({ decoderInputIds, decoderAttentionMask, labels, ...source }: Seq2SeqInputs): Seq2SeqOutput {
    return tf.tidy(() => {
      const encoder = this.encode(source)
      const { logits, hiddenStates, attentions, crossAttentions } = this.decode({
        inputIds: decoderInputIds ?? this.#shiftRight(labels),
        attentionMask: decoderAttentionMask,
        memory: encoder.lastHiddenState,
        memoryMask: source.attentionMask,
        outputHiddenStates: source.outputHiddenStates,
        outputAttentions: source.outputAttentions,
      })
      return {
        logits,
        ...(labels && { loss: this.#loss(logits, labels) }),
        encoderLastHiddenState: encoder.lastHiddenState,
        ...(encoder.hiddenStates && { encoderHiddenStates: encoder.hiddenStates }),
        ...(encoder.attentions && { encoderAttentions: encoder.attentions }),
        ...(hiddenStates && { decoderHiddenStates: hiddenStates }),
        ...(attentions && { decoderAttentions: attentions }),
        ...(crossAttentions && { crossAttentions }),
      }
    })
  }

  /**
   * Targets for the sources, each beginning with the start token; see `GenerateOptions`. With `returnDictInGenerate` these are
   * the `sequences` of a `GenerateOutput`. Throws HEED_ARGUMENT_INVALID, HEED_ABORTED.
   */
  generate(inputIds: TokenIds, options: GenerateOptions & { returnDictInGenerate: true }): Promise<GenerateOutput>
  generate(inputIds: TokenIds, options?: GenerateOptions): Promise<number[][]>
  async generate(inputIds: TokenIds, options: GenerateOptions = {}): Promise<number[][] | GenerateOutput> {
    const output = await generateFromSource(this, inputIds, options)
    return options.returnDictInGenerate ? output : output.sequences
  }

  #loss(logits: tf.Tensor, labels: TokenIds): tf.Scalar {
    const [batch, seqLen, vocabSize] = logits.shape as [number, number, number]
    const ids = readLabels(this.architecture, labels, [batch, seqLen], { below: vocabSize, boundName: 'vocabSize' })
    const labelSmoothing = this.isTraining ? this.labelSmoothing : 0
    return crossEntropy(logits, idTensor(ids), { labelSmoothing })
  }

  #shiftRight(labels: TokenIds | undefined): number[][] {
    const { padTokenId, decoderStartTokenId } = this.config
    const rows = idRows(flattenIds(this.architecture, 'decoderInputIds', labels ?? []))
    return rows.map(row => {
      const shifted = row.slice(0, -1).map(id => (id === IGNORE_INDEX ? (padTokenId ?? 0) : id))
      return [decoderStartTokenId ?? padTokenId ?? 0, ...shifted]
    })
  }
}

/** The mask of a source as cross-attention wants it: nothing when it hides nothing. Throws HEED_SHAPE_MISMATCH. */
export function memoryPadding(where: string, { memory, memoryMask }: DecoderPass): { keyPaddingMask?: tf.Tensor } {
  const [batch, sourceLen] = memory.shape as [number, number]
  const keyPaddingMask = memoryMask && paddingMask(where, memoryMask, [batch, sourceLen])
  return keyPaddingMask ? { keyPaddingMask } : {}
}
