import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { init, tf } from '@heed/tensor-backend'
import { BertForMaskedLM, bertConfig, Transformer, transformerConfig } from '@heed/transformer'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Batch } from '../src/data/batch.ts'
import { GradientCheckpointing } from '../src/gradient-checkpointing.ts'
import { LoraModel } from '../src/lora.ts'
import type { TrainableModel } from '../src/model.ts'
import { Trainer } from '../src/trainer.ts'
import { lossAndGradients } from '../src/training-step.ts'
import { TinyModel, tinyDataset, weightsOf } from './tiny-model.ts'

beforeAll(async () => {
  await init()
})

/** What a function returns, and the most bytes that tensors had after any of its operations. */
function withPeakBytes<R>(f: () => R): { result: R; peakBytes: number } {
  const engine = tf.engine() as unknown as { runKernelFunc(...call: unknown[]): unknown }
  const before = engine.runKernelFunc
  let peakBytes = 0
  engine.runKernelFunc = (...call) => {
    const output = before.apply(engine, call)
    peakBytes = Math.max(peakBytes, tf.memory().numBytes)
    return output
  }
  try {
    return { result: f(), peakBytes }
  } finally {
    Reflect.deleteProperty(engine, 'runKernelFunc')
  }
}

const ids = (rows: number, columns: number): { values: Int32Array; shape: number[] } => ({
  values: Int32Array.from({ length: rows * columns }, (_, i) => 1 + ((7 * i) % 30)),
  shape: [rows, columns],
})

const sizes = { vocabSize: 32, hiddenSize: 16, intermediateSize: 32, numHiddenLayers: 4, numAttentionHeads: 2 }
const llama = (): LlamaForCausalLM =>
  new LlamaForCausalLM(llamaConfig.complete({ ...sizes, attentionDropout: 0.2 }), { seed: 3 })
const decoder: Batch = { inputs: { inputIds: ids(2, 24), labels: ids(2, 24) }, labelShift: 1 }
const encoder: Batch = {
  inputs: {
    inputIds: ids(2, 24),
    attentionMask: { values: new Int32Array(48).fill(1, 0, 40), shape: [2, 24] },
    labels: ids(2, 24),
  },
  labelShift: 0,
}
const both: Batch = { inputs: { inputIds: ids(2, 12), decoderInputIds: ids(2, 9), labels: ids(2, 9) }, labelShift: 0 }

const cases: Record<string, [make: () => TrainableModel & { dispose(): void }, batch: Batch]> = {
  llama: [llama, decoder],
  bert: [() => new BertForMaskedLM(bertConfig.complete(sizes), { seed: 3 }), encoder],
  transformer: [
    () =>
      new Transformer(
        transformerConfig.complete({
          vocabSize: 32,
          hiddenSize: 16,
          intermediateSize: 32,
          encoderLayers: 2,
          decoderLayers: 2,
          numAttentionHeads: 2,
        } as never),
        { seed: 3 },
      ),
    both,
  ],
  'llama with LoRA': [
    () => new LoraModel(llama() as never, { r: 2, loraDropout: 0.2, targetModules: ['q_proj', 'up_proj'] }),
    decoder,
  ],
}

describe.each(Object.entries(cases))('%s', (_, [make, batch]) => {
  test('has the same loss and gradients with checkpointing, dropout included, in less memory', () => {
    const model = make()
    model.train()
    const parameters = [...model.namedParameters()].filter(([, value]) => value.trainable)
    const before = tf.memory().numTensors
    const measure = (checkpointing?: GradientCheckpointing) => {
      const { peakBytes, result } = withPeakBytes(() =>
        lossAndGradients(model, parameters, [batch], { seed: 8, checkpointing }),
      )
      const loss = result.loss.dataSync()[0]!
      const gradients = new Map([...result.gradients].map(([name, value]) => [name, [...value.dataSync()]]))
      tf.dispose([result.loss, ...result.gradients.values()])
      return { loss, gradients, peakBytes }
    }
    const plain = measure()
    const checkpointing = new GradientCheckpointing(model)
    const saved = measure(checkpointing)
    checkpointing.dispose()
    expect(tf.memory().numTensors).toBe(before)
    expect(saved.loss).toBeCloseTo(plain.loss, 5)
    expect([...saved.gradients.keys()]).toEqual([...plain.gradients.keys()])
    for (const [name, values] of plain.gradients) {
      expect(saved.gradients.get(name), name).toBeAllclose(values, { atol: 1e-6, rtol: 1e-4 })
    }
    expect(saved.peakBytes).toBeLessThan(0.8 * plain.peakBytes)
    expect(measure().peakBytes).toBe(plain.peakBytes) // layers are as they were
    model.dispose()
  })
})

test('a training with gradientCheckpointing ends at the weights of one without', async () => {
  const run = async (gradientCheckpointing: boolean): Promise<number[][]> => {
    const model = new LlamaForCausalLM(llamaConfig.complete({ ...sizes, attentionDropout: 0.2 }), { seed: 3 })
    const args = { maxSteps: 3, gradientAccumulationSteps: 2, perDeviceTrainBatchSize: 2, learningRate: 0.01 }
    await new Trainer({ model, args: { ...args, gradientCheckpointing }, trainDataset: tinyDataset() }).train()
    const weights = weightsOf(model)
    model.dispose()
    return weights
  }
  const [plain, saved] = [await run(false), await run(true)]
  for (const [i, values] of saved.entries()) expect(values).toBeAllclose(plain[i]!, { atol: 1e-4, rtol: 1e-3 })
})

test('a model without numbered layers is refused', () => {
  const model = new TinyModel()
  const args = { gradientCheckpointing: true, maxSteps: 1 }
  const trainer = new Trainer({ model, args, trainDataset: tinyDataset() })
  return expect(trainer.train())
    .rejects.toThrow(
      'TrainingArguments: gradientCheckpointing is true, expected false for a model without numbered layers such as layers.0. ' +
        'Its layers must be modules, each with a number as its name.',
    )
    .finally(() => model.dispose())
})
