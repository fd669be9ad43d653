/** A language model of one's own: attention and feed-forward side by side, as in GPT-J, with sinusoidal positions. */
import { readFileSync } from 'node:fs'
import {
  Embedding,
  FeedForward,
  LayerNorm,
  Linear,
  Module,
  MultiHeadAttention,
  SinusoidalPositions,
} from '@heed/layers'
import { crossEntropy, init, tf } from '@heed/tensor-backend'
import { type ModelInputs, Trainer, type TrainingOutput, textCorpus } from '@heed/trainer'

/** y = x + attention(norm(x)) + ff(norm(x)) */
class ParallelBlock extends Module {
  readonly norm: LayerNorm
  readonly attention: MultiHeadAttention
  readonly feedForward: FeedForward

  constructor(hiddenSize: number, numAttentionHeads: number) {
    super()
    this.norm = this.child('norm', new LayerNorm(hiddenSize))
    this.attention = this.child('attention', new MultiHeadAttention({ hiddenSize, numAttentionHeads }))
    this.feedForward = this.child('feed_forward', new FeedForward(hiddenSize, 4 * hiddenSize, { activation: 'gelu' }))
  }

  forward(x: tf.Tensor): tf.Tensor {
    const h = this.norm.forward(x)
    return tf.addN([x, this.attention.forward(h, { isCausal: true }), this.feedForward.forward(h)])
  }
}

class ParallelLm extends Module {
  readonly embed: Embedding = this.child('embed', new Embedding(256, 64))
  readonly positions = new SinusoidalPositions(64)
  readonly blocks: ParallelBlock[] = this.childList('blocks', [new ParallelBlock(64, 4), new ParallelBlock(64, 4)])
  readonly head: Linear = this.child('head', new Linear(64, 256))

  forward({ inputIds, labels }: ModelInputs): TrainingOutput {
    const [batch, seqLen] = inputIds.shape as [number, number]
    let x = tf.add(this.embed.forward(inputIds), this.positions.range(0, seqLen))
    for (const block of this.blocks) x = block.forward(x)
    const logits = this.head.forward(x)
    const guesses = tf.slice(logits, [0, 0, 0], [batch, seqLen - 1, 256])
    const next = labels && tf.slice(labels, [0, 1], [batch, seqLen - 1])
    return { logits, ...(next && { loss: crossEntropy(guesses, next) }) }
  }
}

await init()
const text = readFileSync('data/tiny-shakespeare.txt', 'utf8').slice(0, 50_000)
const tokenizer = { encode: (part: string) => ({ ids: new TextEncoder().encode(part) }) } // a byte is a token
const { train, validation } = textCorpus(text, { tokenizer, blockSize: 64 })
const args = { maxSteps: 60, learningRate: 3e-3, perDeviceTrainBatchSize: 8 }
const trainer = new Trainer({ model: new ParallelLm(), args, trainDataset: train, evalDataset: validation! })
await trainer.train()
const { evalBitsPerByte } = await trainer.evaluate()
console.log(`${evalBitsPerByte!.toFixed(2)} bits a byte; 8 before training`)
