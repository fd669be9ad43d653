// Trains two small models for a few steps and lets them write, on the backend that `trainAndWrite` is given.

import { adamW, init, lazyZeros, tf, variableGradients } from '@heed/tensor-backend'
import { type CausalLm, Gpt2LMHeadModel, gpt2Config } from '@heed/transformer'
import { LlamaForCausalLM, llamaConfig } from 'heed'
import type { PageBackend, PageResult } from './page.ts'

const sizes = { vocabSize: 61, hiddenSize: 32, numHiddenLayers: 2, numAttentionHeads: 4, maxPositionEmbeddings: 32 }

const models: Record<string, () => CausalLm> = {
  gpt2: () =>
    new Gpt2LMHeadModel(
      gpt2Config.complete({
        ...sizes,
        hiddenDropout: 0,
        embeddingDropout: 0,
        attentionDropout: 0,
        bosTokenId: null,
        eosTokenId: [],
      }),
      { seed: 1 },
    ),
  llama: () =>
    new LlamaForCausalLM(llamaConfig.complete({ ...sizes, intermediateSize: 64, numKeyValueHeads: 2 }), { seed: 1 }),
}

const prompt = [1, 2, 3, 5, 8]
const ids = Array.from({ length: 48 }, (_, i) => (i * i + 3 * (i % 16)) % 61)

async function trainAndWrite(create: () => CausalLm): Promise<{ losses: number[]; written: number[][] }> {
  const model = create()
  const inputIds = tf.tensor2d(ids, [3, 16], 'int32')
  const parameters = model.parameters().map(value => {
    const [mean, meanSquare] = [lazyZeros(value.shape), lazyZeros(value.shape)].map(zeros => tf.variable(zeros, false))
    return { value, mean: mean!, meanSquare: meanSquare!, weightDecay: 0.1 }
  })
  model.train()
  const losses: number[] = []
  for (let step = 1; step <= 5; step++) {
    const { value, gradients } = variableGradients(
      () => model.forward({ inputIds, labels: inputIds }).loss!,
      model.parameters(),
    )
    adamW(
      parameters.map(parameter => ({ ...parameter, gradient: gradients.get(parameter.value)! })),
      { learningRate: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, step },
    )
    losses.push((await value.data())[0]!)
    tf.dispose([value, ...gradients.values()])
  }
  model.eval()
  const written = await model.generate([prompt], { maxNewTokens: 8, eosTokenId: [] })
  tf.dispose([inputIds, ...parameters.flatMap(({ mean, meanSquare }) => [mean, meanSquare])])
  model.dispose()
  return { losses, written: written as number[][] }
}

async function run(backend: PageBackend): Promise<PageResult> {
  const report = await init({ backend })
  const result: PageResult = { ...report, models: {} }
  for (const [name, create] of Object.entries(models)) result.models[name] = await trainAndWrite(create)
  return result
}

Object.assign(globalThis, { run })
