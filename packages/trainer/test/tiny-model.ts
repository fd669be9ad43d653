import { Dropout, Embedding, Linear, Module, manualSeed, RMSNorm } from '@heed/layers'
import { crossEntropy, tf, writeFileAtomic, writeSafetensors } from '@heed/tensor-backend'
import { PackedTokens } from '../src/data/packed-tokens.ts'
import type { ModelInputs, TrainableModel, TrainingOutput } from '../src/model.ts'
import { hash } from '../src/random.ts'

/** The next token from the last one alone: embedding, norm, dropout, projection. Enough of a model to train. */
export class TinyModel extends Module implements TrainableModel {
  readonly config: { vocabSize: number }
  readonly embed: Embedding
  readonly norm: RMSNorm
  readonly drop: Dropout
  readonly head: Linear

  constructor({ vocabSize = 17, hiddenSize = 8, dropout = 0.1, seed = 1 } = {}) {
    super()
    manualSeed(seed)
    this.config = { vocabSize }
    this.embed = this.child('embed_tokens', new Embedding(vocabSize, hiddenSize))
    this.norm = this.child('norm', new RMSNorm(hiddenSize))
    this.drop = this.child('drop', new Dropout(dropout))
    this.head = this.child('lm_head', new Linear(hiddenSize, vocabSize))
  }

  forward({ inputIds, labels }: ModelInputs): TrainingOutput {
    const logits = this.head.forward(this.drop.forward(this.norm.forward(this.embed.forward(inputIds))))
    if (!labels) return { logits }
    const [batch, seqLen, vocabSize] = logits.shape as [number, number, number]
    const predicted = tf.slice(logits, [0, 0, 0], [batch, seqLen - 1, vocabSize])
    return { logits, loss: crossEntropy(predicted, tf.slice(labels, [0, 1], [batch, seqLen - 1])) }
  }

  async savePretrained(folder: string): Promise<void> {
    await writeSafetensors(`${folder}/model.safetensors`, this.stateDict())
    await writeFileAtomic(`${folder}/config.json`, JSON.stringify({ vocab_size: this.config.vocabSize }))
  }
}

/** A text in which token t is mostly followed by 3t + 1, so that there is something to learn. */
export function tinyTokens(length: number, vocabSize = 17, seed = 5): Uint16Array {
  const tokens = new Uint16Array(length)
  for (let i = 1; i < length; i++) {
    const isNoise = hash(seed, i) % 10 === 0
    tokens[i] = isNoise ? hash(seed, i, 1) % vocabSize : (3 * tokens[i - 1]! + 1) % vocabSize
  }
  return tokens
}

export const tinyDataset = (length = 400, blockSize = 9): PackedTokens =>
  new PackedTokens(tinyTokens(length), { blockSize, bytesPerToken: 2 })

export function weightsOf(model: Module): number[][] {
  return model.parameters().map(parameter => Array.from(parameter.dataSync()))
}
