import { fileURLToPath } from 'node:url'
import { HeedError, readSafetensors, tf } from '@heed/tensor-backend'
import {
  stateFromTorch,
  stateToTorch,
  Transformer,
  transformerArchitectures,
  transformerConfig,
} from '@heed/transformer'
import { testArchitecture, testOnBackends } from '@heed/transformer/testing'
import { describe, expect, test } from 'vitest'

const sizes = {
  vocabSize: 23,
  hiddenSize: 16,
  intermediateSize: 20,
  encoderLayers: 2,
  decoderLayers: 2,
  numAttentionHeads: 2,
  hasFinalNorm: true,
  hiddenDropout: 0,
}

function under(prefix: string, tensors: Record<string, tf.Tensor>): Map<string, tf.Tensor> {
  const entries = Object.entries(tensors).filter(([key]) => key.startsWith(prefix))
  return new Map(entries.map(([key, tensor]) => [key.slice(prefix.length), tensor]))
}

async function readTorch(name: string): Promise<{ model: Transformer; tensors: Record<string, tf.Tensor> }> {
  const path = fileURLToPath(new URL(`fixtures/torch-transformer/${name}.safetensors`, import.meta.url))
  const tensors = await readSafetensors(path)
  const model = new Transformer(transformerConfig.complete({ ...sizes, isPreNorm: name === 'pre-norm' }))
  const state = stateFromTorch(under('state.transformer.', tensors))
  model.loadStateDict(new Map([...state, ['shared.weight', tensors['state.embedding.weight']!]]))
  tf.dispose([...state.values()])
  return { model, tensors }
}

for (const name of ['post-norm', 'pre-norm', 'paper']) {
  const fixture = new URL(`fixtures/transformer-tiny/${name}/`, import.meta.url)
  testArchitecture({ name: `Transformer, ${name}`, architectures: transformerArchitectures, fixture })
}

describe.each(['post-norm', 'pre-norm'])('torch.nn.Transformer, %s', name => {
  testOnBackends('encoder output, logits, losses and gradients are the same', async () => {
    const { model, tensors } = await readTorch(name)
    const { source, mask, labels } = tensors
    const inputs = { inputIds: source!, attentionMask: mask!, labels: labels! }
    const before = tf.memory().numTensors
    tf.tidy(() => {
      const { logits, loss, encoderLastHiddenState } = model.forward(inputs)
      const isToken = mask!.toFloat().reshape([2, 6, 1])
      const memory = [encoderLastHiddenState, tensors.memory!].map(x => tf.mul(x, isToken).dataSync())
      expect(memory[0]).toBeAllclose(memory[1]!, { atol: 2e-5 })
      expect(logits.dataSync()).toBeAllclose(tensors.logits!.dataSync(), { atol: 2e-5 })
      expect(loss!.dataSync()).toBeAllclose(tensors.loss!.dataSync())
      expect(model.train().forward(inputs).loss!.dataSync()).toBeAllclose(tensors.smoothedLoss!.dataSync())
      model.eval()
      const { grads } = tf.variableGrads(() => model.forward(inputs).loss!)
      const expected = new Map([...stateFromTorch(under('gradient.transformer.', tensors)).entries()])
      expected.set('shared.weight', tensors['gradient.embedding.weight']!)
      const parameters = model.stateDict()
      expect(parameters.size).toBe(expected.size)
      for (const [key, gradient] of expected) {
        expect(grads[parameters.get(key)!.name]!.dataSync(), key).toBeAllclose(gradient.dataSync(), { atol: 2e-5 })
      }
    })
    expect(tf.memory().numTensors).toBe(before)
    model.dispose()
    tf.dispose(tensors)
  })

  testOnBackends('what goes back to torch is what came', async () => {
    const { model, tensors } = await readTorch(name)
    const torch = stateToTorch(model.stateDict())
    const given = under('state.transformer.', tensors)
    expect([...torch.keys()].sort()).toEqual([...given.keys()].sort())
    for (const [key, tensor] of torch) expect(tensor.dataSync()).toEqual(given.get(key)!.dataSync())
    tf.dispose([...torch.values()])
    model.dispose()
    tf.dispose(tensors)
  })
})

test('cached decoding writes what decoding whole prefixes writes', async () => {
  await tf.setBackend('cpu')
  const { model, tensors } = await readTorch('post-norm')
  const inputIds = (tensors.source as tf.Tensor2D).arraySync()
  const options = { maxNewTokens: 6, eosTokenId: -1 }
  const before = tf.memory().numTensors
  const cached = await model.generate(inputIds, options)
  let whole = inputIds.map(() => [1])
  for (let i = 0; i < 6; i++) {
    const last = tf.tidy(() => {
      const { logits } = model.forward({ inputIds, decoderInputIds: whole })
      return tf.argMax(logits, -1).slice([0, i], [2, 1]).dataSync()
    })
    whole = whole.map((row, j) => [...row, last[j]!])
  }
  expect(cached).toEqual(whole)
  expect(tf.memory().numTensors).toBe(before)
  model.dispose()
  tf.dispose(tensors)
})

test('a key that torch.nn.Transformer does not have is named', () => {
  const state = new Map([['encoder.layers.0.gate.weight', tf.scalar(0)]])
  expect(() => stateFromTorch(state)).toThrow(HeedError)
  expect(() => stateFromTorch(state)).toThrow(
    'stateFromTorch: key is "encoder.layers.0.gate.weight", expected one of torch.nn.Transformer\'s. ' +
      'Give the state dict of that module alone.',
  )
})
