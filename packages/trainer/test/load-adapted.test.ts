import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { LlamaForCausalLM, llamaArchitectures, llamaConfig, writeGgufModel } from '@heed/llama'
import { init, readSafetensors, tf, writeSafetensors } from '@heed/tensor-backend'
import {
  AutoModelForCausalLM,
  AutoModelForSequenceClassification,
  bertArchitectures,
  type CausalLm,
  type LoadOptions,
  loadTokenizer,
  openPretrained,
  registerArchitecture,
} from '@heed/transformer'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LoraModel } from '../src/lora.ts'
import { temporaryFolder } from './temporary-folder.ts'

const path = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const examples = fileURLToPath(new URL('../../../examples/models', import.meta.url))
const fixture: { inputIds: number[][]; lastLogits: number[] } = JSON.parse(
  readFileSync(path('lora-llama/lora.json'), 'utf8'),
)
const settings = { maxNewTokens: 12, doSample: false, eosTokenId: -1 }

beforeAll(async () => {
  await init()
  registerArchitecture(...llamaArchitectures, ...bertArchitectures)
})

let folder: string
beforeEach(() => {
  folder = temporaryFolder()
})

/** A copy of an adapter of the fixtures, with keys of its config replaced. */
function adapterOf(name: string, config: object, copy = 'adapter'): string {
  cpSync(path(name), `${folder}/${copy}`, { recursive: true })
  const file = `${folder}/${copy}/adapter_config.json`
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...config }))
  return `${folder}/${copy}`
}

const lastLogits = (model: CausalLm): Float32Array =>
  tf.tidy(() => model.forward({ inputIds: fixture.inputIds, logitsToKeep: 1 }).logits.dataSync<'float32'>().slice())

describe('the folder of an adapter is loaded as a model', () => {
  test('with the logits of PyTorch, the base being found from the folder, and is saved as one', async () => {
    cpSync(path('trajectory-llama'), `${folder}/base`, { recursive: true })
    const adapter = adapterOf('lora-llama/last', { base_model_name_or_path: '../base' })
    for (const load of [AutoModelForCausalLM.fromPretrained, LlamaForCausalLM.fromPretrained]) {
      const model = await load(adapter)
      expect(lastLogits(model)).toBeAllclose(fixture.lastLogits, { atol: 1e-4, rtol: 1e-4 })
      expect(model.adapters).toEqual([])
      expect(model.parameters().every(parameter => parameter.trainable)).toBe(true)
      await model.savePretrained(`${folder}/saved`)
      model.dispose()
    }
    const saved = await AutoModelForCausalLM.fromPretrained(`${folder}/saved`)
    expect(lastLogits(saved)).toBeAllclose(fixture.lastLogits, { atol: 1e-4, rtol: 1e-4 })
    saved.dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test.each(['q4_0', 'float16'] as const)(
    'beside a base in %s it writes what a LoraModel does, and is freed',
    async dtype => {
      const sizes = { vocabSize: 48, hiddenSize: 64, intermediateSize: 64, numHiddenLayers: 2, numAttentionHeads: 4 }
      const fresh = new LlamaForCausalLM(llamaConfig.complete({ ...sizes, initializerRange: 0.1 }), { seed: 1 })
      await fresh.savePretrained(`${folder}/base`)
      const made = new LoraModel(fresh, { targetModules: ['q_proj', 'down_proj'], baseModelNameOrPath: '../base' })
      for (const [, matrix] of made.namedParameters())
        tf.tidy(() => matrix.assign(tf.randomNormal(matrix.shape, 0, 0.3, 'float32', matrix.size)))
      await made.savePretrained(`${folder}/adapter`)
      made.detach().dispose()

      const base = await LlamaForCausalLM.fromPretrained(`${folder}/base`, { dtype })
      const plain = lastLogits(base)
      const adapted = await LoraModel.fromPretrained(base, `${folder}/adapter`)
      const model = await AutoModelForCausalLM.fromPretrained(`${folder}/adapter`, { dtype })
      expect(lastLogits(model)).toEqual(lastLogits(base))
      expect(lastLogits(model)).not.toEqual(plain)
      expect(await model.generate(fixture.inputIds, settings)).toEqual(await base.generate(fixture.inputIds, settings))
      await expect(model.savePretrained(`${folder}/saved`)).rejects.toThrow(
        'savePretrained: 1 adapters of the model are beside its weights, expected weights that take them. ' +
          "Load it with dtype: 'float32'.",
      )
      model.dispose()
      adapted.detach().dispose()
      expect(tf.memory().numTensors).toBe(0)
    },
  )

  test('also where it lies in the folder of its base, and on top of another adapter', async () => {
    const inside = adapterOf('lora-llama/last', { base_model_name_or_path: 'somewhere/else' })
    cpSync(path('trajectory-llama'), inside, { recursive: true })
    const once = await AutoModelForCausalLM.fromPretrained(inside)
    expect(lastLogits(once)).toBeAllclose(fixture.lastLogits, { atol: 1e-4, rtol: 1e-4 })
    const again = await LoraModel.fromPretrained(once, inside)
    const twice = lastLogits(once)
    again.detach().dispose()
    const above = adapterOf('lora-llama/last', { base_model_name_or_path: '../adapter' }, 'above')
    const model = await AutoModelForCausalLM.fromPretrained(above)
    expect(lastLogits(model)).toBeAllclose(twice, { atol: 1e-4, rtol: 1e-4 })
    model.dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test('of a weight that another layer has too stays beside it, and several are taken away one by one', async () => {
    const sizes = { vocabSize: 32, hiddenSize: 8, intermediateSize: 8, numHiddenLayers: 1, numAttentionHeads: 2 }
    const model = new LlamaForCausalLM(llamaConfig.complete({ ...sizes, tieWordEmbeddings: true }))
    const plain = lastLogits(model)
    const first = new LoraModel(model, { targetModules: ['lm_head'], baseModelNameOrPath: '../base' })
    for (const [, matrix] of first.namedParameters()) tf.tidy(() => matrix.assign(tf.ones(matrix.shape)))
    const adapted = lastLogits(model)
    expect(first.isMergeable).toBe(false)
    expect(() => first.merge()).toThrow(
      'LoraModel: the weight of lm_head is that of another layer too, expected its own to merge into. Keep the adapter beside it.',
    )
    const second = new LoraModel(model, { targetModules: ['lm_head'] })
    second.detach()
    expect(lastLogits(model)).toEqual(adapted)
    await first.savePretrained(`${folder}/adapter`)
    const file = `${folder}/adapter/adapter_model.safetensors`
    const tensors = await readSafetensors(file)
    const ofBase = { 'base_model.model.lm_head.base_layer.weight': model.lmHead.weight } // as PEFT writes it for a head
    await writeSafetensors(file, { ...tensors, ...ofBase })
    tf.dispose(tensors)
    await first.detach().savePretrained(`${folder}/base`)
    expect(lastLogits(model)).toEqual(plain)
    model.dispose()
    const loaded = await AutoModelForCausalLM.fromPretrained(`${folder}/adapter`)
    expect(lastLogits(loaded)).toEqual(adapted)
    loaded.dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test('of a classifier gives the logits of PEFT, and no warning of the head that it brings', async () => {
    const adapter = adapterOf('lora-bert', { base_model_name_or_path: `${examples}/countries-bert` })
    const config = { id2label: { 0: 'a', 1: 'b', 2: 'c' } }
    const warnings: string[] = []
    const onWarning = (message: string): void => void warnings.push(message)
    const model = await AutoModelForSequenceClassification.fromPretrained(adapter, { config, onWarning })
    const { inputIds, attentionMask, logits } = JSON.parse(readFileSync(path('lora-bert/expected.json'), 'utf8'))
    const found = tf.tidy(() => model.forward({ inputIds, attentionMask }).logits.dataSync().slice())
    expect(found).toBeAllclose(logits.flat(), { atol: 1e-5, rtol: 1e-5 })
    expect(warnings).toEqual([])
    model.dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test('has the tokenizer beside it, else that of its base', async () => {
    const base = `${examples}/countries-bert`
    const adapter = adapterOf('lora-bert', { base_model_name_or_path: base })
    expect((await loadTokenizer(adapter)).vocabSize).toBe((await loadTokenizer(base)).vocabSize)
    cpSync(path('../../../llama/test/fixtures/stories260K/tokenizer.json'), `${adapter}/tokenizer.json`)
    expect((await loadTokenizer(adapter)).vocabSize).toBe(512)
  })
})

describe('an adapter is refused', () => {
  const failure = async (config: object, options: LoadOptions = {}): Promise<string> => {
    const adapter = adapterOf('lora-llama/last', config)
    const { code, message } = await AutoModelForCausalLM.fromPretrained(adapter, options).catch(error => error)
    expect(tf.memory().numTensors).toBe(0)
    return `${code} ${message.replaceAll(folder, 'DIR')}`
  }

  test('when its base is not named, is not there, or is itself', async () => {
    expect(await failure({})).toBe(
      'HEED_CONFIG_INVALID DIR/adapter/adapter_config.json: base_model_name_or_path is "", expected the model that the adapter is for. Name it there.',
    )
    expect(await failure({ base_model_name_or_path: '../nowhere' })).toBe(
      'HEED_FILE_NOT_FOUND DIR/adapter/adapter_config.json: base_model_name_or_path is "../nowhere", expected a model there or on the hub. ' +
        '../nowhere/config.json: there is no such file or folder. Check the path.',
    )
    const circle =
      'HEED_CONFIG_INVALID DIR/adapter/adapter_config.json: base_model_name_or_path is "../adapter", which leads back to this adapter, ' +
      'expected the model that the adapter is for. Name it there.'
    expect(await failure({ base_model_name_or_path: '../adapter' })).toBe(circle)
    const tokenizer = await loadTokenizer(`${folder}/adapter`).catch(error => error)
    expect(`${tokenizer.code} ${tokenizer.message.replaceAll(folder, 'DIR')}`).toBe(circle)
  })

  test('when it is of another model, of another kind, or not whole', async () => {
    const llama = { base_model_name_or_path: path('trajectory-llama') }
    const other = fileURLToPath(new URL('../../llama/test/fixtures/stories260K', import.meta.url))
    expect(await failure({ base_model_name_or_path: other })).toMatch(
      /^HEED_STATE_DICT_MISMATCH DIR\/adapter: base_model\.model\.model\.layers\.0\.self_attn\.q_proj\.lora_A\.weight is of shape \[4, \d+\], expected shape \[4, \d+\]\. The adapter is of another model\.$/,
    )
    expect(await failure({ ...llama, target_modules: ['c_attn'] })).toMatch(
      /^HEED_CONFIG_INVALID LoraConfig: targetModules include "c_attn", expected names of linear layers: q_proj, /,
    )
    for (const [key, value, expected] of [
      ['peft_type', 'IA3', 'LORA'],
      ['bias', 'all', 'none'],
      ['layers_to_transform', [0], null],
    ] as const) {
      expect(await failure({ ...llama, [key]: value })).toBe(
        `HEED_CONFIG_INVALID DIR/adapter/adapter_config.json: ${key} is ${JSON.stringify(value)}, expected ${JSON.stringify(expected)}.`,
      )
    }
    expect(await failure({ ...llama, modules_to_save: ['embed_tokens'] }, { dtype: 'float16' })).toMatch(
      /^HEED_CONFIG_INVALID LoraConfig: modulesToSave include "embed_tokens", expected names of modules with float32 weights/,
    )
    rmSync(`${adapterOf('lora-llama/last', llama)}/adapter_model.safetensors`)
    await expect(AutoModelForCausalLM.fromPretrained(`${folder}/adapter`)).rejects.toThrow(
      `${folder}/adapter/adapter_config.json: adapter_model.safetensors is missing beside it, expected it or adapter_model.bin. Copy the whole folder.`,
    )
  })

  test('where weights alone are written, and a damaged config is an error', async () => {
    const adapter = adapterOf('lora-llama/last', { base_model_name_or_path: path('trajectory-llama') })
    await expect(writeGgufModel(`${folder}/model.gguf`, await openPretrained(adapter))).rejects.toThrow(
      `${adapter}/adapter_config.json: this is an adapter, expected a model to write as GGUF. Save it as a folder first, which merges it.`,
    )
    writeFileSync(`${folder}/adapter/adapter_config.json`, '[]')
    await expect(openPretrained(`${folder}/adapter`)).rejects.toThrow(
      `${folder}/adapter/adapter_config.json: content is [], expected an object.`,
    )
  })
})
