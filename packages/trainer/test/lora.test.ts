import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { FeedForward, type Module } from '@heed/layers'
import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { init, linear, readSafetensors, tf } from '@heed/tensor-backend'
import { AutoModelForSequenceClassification, bertArchitectures, registerArchitecture } from '@heed/transformer'
import { beforeAll, describe, expect, test } from 'vitest'
import { LoraModel } from '../src/lora.ts'
import type { ModelInputs, TrainableModel, TrainingOutput } from '../src/model.ts'
import { Trainer } from '../src/trainer.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { TinyModel, tinyDataset, weightsOf } from './tiny-model.ts'
import { readTrajectory, trajectoryExamples } from './trajectory-fixture.ts'

const path = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const fixture: { inputIds: number[][]; lastLogits: number[]; steps: Array<{ loss: number; gradNorm: number }> } =
  JSON.parse(readFileSync(path('lora-llama/lora.json'), 'utf8'))

beforeAll(async () => {
  await init()
})

const lastLogits = (model: LlamaForCausalLM): Float32Array =>
  tf.tidy(() => model.forward({ inputIds: fixture.inputIds, logitsToKeep: 1 }).logits.dataSync<'float32'>().slice())

describe.each(['native', 'wasm'] as const)('LoRA against PyTorch on %s', backend => {
  const isElsewhere = process.env.HEED_BACKEND !== undefined && process.env.HEED_BACKEND !== backend

  beforeAll(async () => {
    if (!isElsewhere) await init({ backend })
  })

  test.skipIf(isElsewhere)(
    '20 steps from an adapter that PEFT could have written give the losses, norms and last adapter',
    async () => {
      const model = await LlamaForCausalLM.fromPretrained(path('trajectory-llama'))
      const before = weightsOf(model)
      const adapted = await LoraModel.fromPretrained(model, path('lora-llama/first'))
      const trajectory = readTrajectory('llama')
      const examples = trajectoryExamples(trajectory)
      const { steps, ...recipe } = trajectory.recipe
      const trainer = new Trainer({
        model: adapted,
        args: { ...recipe, maxSteps: steps, perDeviceTrainBatchSize: 2, shuffle: false, loggingSteps: 1 },
        trainDataset: { length: examples.length, get: index => examples[index]! },
      })
      await trainer.train()
      const log = trainer.state.logHistory.filter(record => record.loss !== undefined)
      const close = { atol: 1e-4, rtol: 1e-4 }
      expect(log.map(record => record.loss!)).toBeAllclose(
        fixture.steps.map(step => step.loss),
        close,
      )
      expect(log.map(record => record.gradNorm!)).toBeAllclose(
        fixture.steps.map(step => step.gradNorm),
        close,
      )
      const last = await readSafetensors(`${path('lora-llama/last')}/adapter_model.safetensors`)
      const state = adapted.stateDict()
      expect([...state.keys()].sort()).toEqual(Object.keys(last).sort())
      for (const [key, parameter] of state)
        expect(parameter.dataSync(), key).toBeAllclose(last[key]!.dataSync(), { atol: 2e-4, rtol: 1e-3 })
      expect(weightsOf(model)).toEqual(before)
      tf.dispose(last)
      adapted.detach().dispose()
      expect(tf.memory().numTensors).toBe(0)
    },
  )

  test.skipIf(isElsewhere)(
    'an adapted model gives the logits of PyTorch, merged and unmerged alike, and its own after detaching',
    async () => {
      const model = await LlamaForCausalLM.fromPretrained(path('trajectory-llama'))
      const plain = lastLogits(model)
      const adapted = await LoraModel.fromPretrained(model, path('lora-llama/last'))
      expect(lastLogits(model)).toBeAllclose(fixture.lastLogits, { atol: 1e-4, rtol: 1e-4 })
      adapted.merge()
      expect(lastLogits(model)).toBeAllclose(fixture.lastLogits, { atol: 1e-4, rtol: 1e-4 })
      adapted.unmerge()
      adapted.detach()
      expect(lastLogits(model)).toBeAllclose(plain, { atol: 1e-5, rtol: 1e-5 })
      expect(model.parameters().every(parameter => parameter.trainable)).toBe(true)
      model.dispose()
    },
  )
})

describe.each([
  ['q8_0', 0.02],
  ['q4_0', 0.02],
] as const)('an adapter on a base in %s', (dtype, tolerance) => {
  const examples = Array.from({ length: 8 }, (_, row) => {
    const ids = Array.from({ length: 12 }, (_, i) => (3 * row + i * (1 + (row % 3))) % 48)
    return { inputIds: ids, labels: ids }
  })

  /** Ten steps on a base; the losses, the adapter, and whether the base is as it was. */
  async function train(path: string, loadedAs: 'float32' | 'q8_0' | 'q4_0', adapter: string) {
    const model = await LlamaForCausalLM.fromPretrained(path, { dtype: loadedAs })
    const bits = () => [...model.quantizedWeights()].map(([, weight]) => Array.from(weight.data.dataSync()))
    const before = [weightsOf(model), bits()]
    const adapted = await LoraModel.fromPretrained(model, adapter)
    const trainer = new Trainer({
      model: adapted,
      args: { maxSteps: 10, learningRate: 0.02, perDeviceTrainBatchSize: 4, shuffle: false, loggingSteps: 1 },
      trainDataset: { length: examples.length, get: index => examples[index]! },
    })
    await trainer.train()
    const losses = trainer.state.logHistory.flatMap(({ loss }) => (loss === undefined ? [] : [loss]))
    expect([weightsOf(model), bits()]).toEqual(before)
    return { model, adapted, losses }
  }

  test('learns, alone, as on the numbers that the base stands for, and is not merged into few bits', async () => {
    const folder = temporaryFolder()
    const sizes = { vocabSize: 48, hiddenSize: 64, intermediateSize: 64, numHiddenLayers: 2, numAttentionHeads: 4 }
    const fresh = new LlamaForCausalLM(llamaConfig.complete({ ...sizes, initializerRange: 0.1 }), { seed: 1 })
    await fresh.savePretrained(`${folder}/fresh`)
    const first = new LoraModel(fresh, { r: 4, targetModules: ['q_proj', 'v_proj', 'down_proj'] })
    await first.savePretrained(`${folder}/adapter`)
    first.detach().dispose()
    const few = await train(`${folder}/fresh`, dtype, `${folder}/adapter`)
    expect(few.losses.at(-1)!).toBeLessThan(0.9 * few.losses[0]!)
    expect([...few.adapted.stateDict().keys()].every(key => /lora_[AB]\.weight$/.test(key))).toBe(true)
    expect(() => few.adapted.merge()).toThrow(
      'LoraModel: the weight of model.layers.0.self_attn.q_proj is in few bits, expected float32 to merge into. ' +
        "Load the model with dtype: 'float32', and the saved adapter onto it.",
    )
    await few.adapted.detach().savePretrained(`${folder}/stands-for`) // as float32, what the few bits stand for
    few.model.dispose()
    const plain = await train(`${folder}/stands-for`, 'float32', `${folder}/adapter`)
    expect(few.losses).toBeAllclose(plain.losses, { atol: tolerance, rtol: tolerance })
    plain.adapted.merge()
    plain.adapted.detach().dispose()
    expect(tf.memory().numTensors).toBe(0)
  })
})

describe('an adapter', () => {
  test('of a feed-forward layer reaches its activation, as when it is merged', () => {
    const feedForward = new FeedForward(4, 6, { activation: 'gelu' })
    const adapted = new LoraModel(feedForward as unknown as Module & TrainableModel, {
      r: 2,
      targetModules: ['fc1', 'fc2'],
    })
    for (const [, parameter] of adapted.namedParameters()) {
      tf.tidy(() => parameter.assign(tf.randomNormal(parameter.shape, 0, 1, 'float32', parameter.size)))
    }
    const x = tf.randomNormal([3, 4], 0, 1, 'float32', 5)
    const output = (): Float32Array => tf.tidy(() => feedForward.forward(x).dataSync<'float32'>().slice())
    const apart = output()
    adapted.merge()
    expect(apart).toBeAllclose(output(), { atol: 1e-5, rtol: 1e-5 })
    adapted.detach().dispose()
    x.dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test('is saved with PEFT keys and config, loads again, and resumes from a checkpoint bit for bit', async () => {
    const outputDir = temporaryFolder()
    const run = async (maxSteps: number, folder?: string, resume = false): Promise<number[][]> => {
      const adapted = new LoraModel(new TinyModel({ dropout: 0.2 }), {
        r: 2,
        loraDropout: 0.1,
        targetModules: ['lm_head'],
      })
      const args = {
        maxSteps,
        learningRate: 0.05,
        lrSchedulerType: 'constant',
        ...(folder && { outputDir: folder }),
      } as const
      await new Trainer({ model: adapted, args, trainDataset: tinyDataset() }).train({ resumeFromCheckpoint: resume })
      const weights = weightsOf(adapted)
      adapted.detach().dispose()
      return weights
    }
    const whole = await run(8)
    await run(3, outputDir)
    expect(JSON.parse(readFileSync(`${outputDir}/checkpoint-3/adapter_config.json`, 'utf8'))).toEqual({
      base_model_name_or_path: '',
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      lora_alpha: 8,
      lora_dropout: 0.1,
      modules_to_save: null,
      peft_type: 'LORA',
      r: 2,
      target_modules: ['lm_head'],
      task_type: 'CAUSAL_LM',
      use_rslora: false,
    })
    expect(await run(8, outputDir, true)).toEqual(whole)
    const loaded = await LoraModel.fromPretrained(new TinyModel(), `${outputDir}/checkpoint-8`)
    expect(weightsOf(loaded)).toEqual(whole)
    expect([...loaded.stateDict().keys()]).toEqual([
      'base_model.model.lm_head.lora_A.weight',
      'base_model.model.lm_head.lora_B.weight',
    ])
    loaded.detach().dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test('of a classifier that PEFT saved with its head gives the logits of PEFT, and is saved as it was', async () => {
    const base = fileURLToPath(new URL('../../../examples/models/countries-bert', import.meta.url))
    const config = { id2label: { 0: 'a', 1: 'b', 2: 'c' } }
    registerArchitecture(...bertArchitectures)
    const loaded = await AutoModelForSequenceClassification.fromPretrained(base, { config, onWarning: () => {} })
    const model = loaded as typeof loaded & TrainableModel
    const adapted = await LoraModel.fromPretrained(model, path('lora-bert'))
    const { inputIds, attentionMask, logits } = JSON.parse(readFileSync(path('lora-bert/expected.json'), 'utf8'))
    const [ids, mask] = [inputIds, attentionMask].map(rows => tf.tensor2d(rows, undefined, 'int32')) as [
      tf.Tensor2D,
      tf.Tensor2D,
    ]
    const found = tf.tidy(() => adapted.forward({ inputIds: ids, attentionMask: mask }).logits.dataSync().slice())
    expect(found).toBeAllclose(logits.flat(), { atol: 1e-5, rtol: 1e-5 })
    tf.dispose([ids, mask])

    const folder = temporaryFolder()
    await adapted.savePretrained(folder)
    const [saved, given] = await Promise.all(
      [folder, path('lora-bert')].map(each => readSafetensors(`${each}/adapter_model.safetensors`)),
    )
    expect(Object.keys(saved!).sort()).toEqual(Object.keys(given!).sort())
    for (const [key, tensor] of Object.entries(given!)) expect(saved![key]!.dataSync(), key).toEqual(tensor.dataSync())
    expect(JSON.parse(readFileSync(`${folder}/adapter_config.json`, 'utf8')).modules_to_save).toEqual([
      'classifier',
      'bert.pooler.dense',
      'classifier',
    ])
    tf.dispose([saved!, given!])
    adapted.detach().dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test('trains the modules to save whole, and detaching leaves them trained', async () => {
    const model = new TinyModel()
    const options = { targetModules: ['lm_head'], modulesToSave: ['embed_tokens'] }
    expect(() => new LoraModel(model, { ...options, modulesToSave: ['score'] })).toThrow(
      /^LoraConfig: modulesToSave include "score", expected names of modules with float32 weights: .*embed_tokens/,
    )
    const before = model.stateDict().get('embed_tokens.weight')!.dataSync().slice()
    const adapted = new LoraModel(model, options)
    const args = { maxSteps: 2, learningRate: 0.05 }
    await new Trainer({ model: adapted, args, trainDataset: tinyDataset() }).train()
    const trained = adapted.stateDict().get('base_model.model.embed_tokens.weight')!.dataSync().slice()
    expect(trained).not.toEqual(before)
    adapted.detach()
    expect(model.stateDict().get('embed_tokens.weight')!.dataSync()).toEqual(trained)
    model.dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test('changes nothing before it is trained', () => {
    const model = new TinyModel()
    const ids = tf.tensor2d([[1, 2, 3]], [1, 3], 'int32')
    const logits = (): number[] => tf.tidy(() => Array.from(model.forward({ inputIds: ids }).logits.dataSync()))
    const before = logits()
    const adapted = new LoraModel(model, { targetModules: ['lm_head'] })
    expect(logits()).toEqual(before)
    adapted.detach().dispose()
    ids.dispose()
  })

  test('of a layer whose weight the model uses directly is refused, since it could not learn', () => {
    class Bypassing extends TinyModel {
      override forward({ inputIds }: ModelInputs): TrainingOutput {
        return { logits: linear(this.embed.forward(inputIds), this.head.weight) }
      }
    }
    const adapted = new LoraModel(new Bypassing(), { targetModules: ['lm_head'] })
    const ids = tf.tensor2d([[1, 2]], [1, 2], 'int32')
    expect(() => tf.tidy(() => void adapted.forward({ inputIds: ids }))).toThrow(
      'LoraConfig: target_modules include lm_head, expected layers that the model calls: it uses this weight directly. Leave it out.',
    )
    adapted.detach().dispose()
    ids.dispose()
  })

  test('of another model, or with what is not served, is refused by name', async () => {
    const model = new TinyModel()
    expect(() => new LoraModel(model, { targetModules: ['query'] })).toThrow(
      'LoraConfig: targetModules include "query", expected names of linear layers: lm_head.',
    )
    expect(() => new LoraModel(model, { targetModules: ['norm'] })).toThrow(
      'LoraConfig: targetModules include "norm", expected names of linear layers: lm_head.',
    )
    for (const targetModules of [[], undefined as unknown as string[]]) {
      expect(() => new LoraModel(model, { targetModules })).toThrow(
        'LoraConfig: targetModules name no layer, expected names of linear layers: lm_head.',
      )
    }
    expect(() => new LoraModel(model, { targetModules: ['lm_head'], r: 0 })).toThrow(
      'LoraConfig: r is 0, expected an integer at least 1.',
    )
    const folder = temporaryFolder()
    const load = async (config: object): Promise<string> => {
      writeFileSync(`${folder}/adapter_config.json`, JSON.stringify({ target_modules: ['lm_head'], ...config }))
      const error = await LoraModel.fromPretrained(model, folder).catch(error => error)
      return error.message.replaceAll(folder, 'DIR')
    }
    expect(await load({ peft_type: 'IA3' })).toBe('DIR/adapter_config.json: peft_type is "IA3", expected "LORA".')
    expect(await load({ use_dora: true })).toBe('DIR/adapter_config.json: use_dora is true, expected false.')
    expect(await load({ target_modules: 'all-linear' })).toBe(
      'DIR/adapter_config.json: target_modules is "all-linear", expected a list of names.',
    )
    const other = new LoraModel(new TinyModel({ hiddenSize: 12 }), { targetModules: ['lm_head'] })
    await other.savePretrained(folder)
    other.detach().dispose()
    expect(await load({})).toBe(
      'DIR: base_model.model.lm_head.lora_A.weight is of shape [8, 12], expected shape [8, 8]. The adapter is of another model.',
    )
    expect(model.parameters().every(parameter => parameter.trainable)).toBe(true)
    model.dispose()
    expect(tf.memory().numTensors).toBe(0)
  })
})
