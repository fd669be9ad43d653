import { tf } from '@heed/tensor-backend'
import { Embedding } from '../embedding.ts'
import { Module } from '../module.ts'

export interface RelativePositionBiasOptions {
  numBuckets: number
  /** Distances from here on share the last bucket. */
  maxDistance: number
  numAttentionHeads: number
  /** Whether keys to the right have buckets of their own; in a decoder they are never seen. */
  isBidirectional: boolean
}

/**
 * A learned number for each head and each distance between query and key, added to the scores: exact for near keys, in
 * logarithmic buckets for far ones. Raffel et al. 2019 (arXiv:1910.10683), section 2.1; numbers and key of HF `T5Attention`.
 */
export class RelativePositionBias extends Module {
  readonly table: Embedding // [numBuckets, numAttentionHeads]

  constructor(readonly options: RelativePositionBiasOptions) {
    super()
    this.table = this.child('', new Embedding(options.numBuckets, options.numAttentionHeads))
  }

  /** Queries at offset, offset + 1, ...; keys at 0, 1, ... -> [1, numAttentionHeads, seqLen, keyLen]. */
  forward(offset: number, seqLen: number, keyLen: number): tf.Tensor {
    const buckets = new Int32Array(seqLen * keyLen)
    for (let query = 0; query < seqLen; query++) {
      for (let key = 0; key < keyLen; key++) buckets[query * keyLen + key] = this.#bucketOf(key - query - offset)
    }
    return tf.tidy(() => {
      const values = this.table.forward(tf.tensor2d(buckets, [seqLen, keyLen], 'int32')) // [seqLen, keyLen, numHeads]
      return tf.transpose(values, [2, 0, 1]).expandDims(0)
    })
  }

  #bucketOf(distance: number): number {
    const { isBidirectional, numBuckets, maxDistance } = this.options
    const count = isBidirectional ? numBuckets >> 1 : numBuckets
    const first = isBidirectional && distance > 0 ? count : 0
    const far = isBidirectional ? Math.abs(distance) : Math.max(-distance, 0)
    const exact = count >> 1
    if (far < exact) return first + far
    // In float32, as PyTorch, so that a distance on the edge of a bucket falls on the same side.
    const share = Math.fround(Math.fround(Math.log(Math.fround(far / exact))) / Math.log(maxDistance / exact))
    return first + Math.min(exact + Math.trunc(Math.fround(share * (count - exact))), count - 1)
  }
}
