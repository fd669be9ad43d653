import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HeedError, type HeedErrorCode, isHeedError, readSafetensors, tf, writeSafetensors } from '@heed/tensor-backend'
import {
  AutoModel,
  AutoModelForCausalLM,
  type BertModel,
  bertArchitectures,
  Gpt2ForSequenceClassification,
  Gpt2LMHeadModel,
  Gpt2Model,
  gpt2Architectures,
  gpt2Config,
  loadPretrained,
  registerArchitecture,
  registeredArchitectures,
} from '@heed/transformer'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { tinyGpt2 } from '../tiny-gpt2.ts'

let folder: string

beforeAll(async () => {
  await tf.setBackend('cpu')
  registerArchitecture(...bertArchitectures, ...gpt2Architectures)
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-pretrained-'))
  const model = tinyGpt2()
  await model.savePretrained(folder)
  model.dispose()
})

afterEach(() => rm(folder, { recursive: true }))

async function failureOf(run: () => Promise<unknown>): Promise<[HeedErrorCode, string]> {
  const before = tf.memory().numTensors
  try {
    await run()
  } catch (error) {
    expect(tf.memory().numTensors).toBe(before)
    if (isHeedError(error)) return [error.code, error.message.replaceAll(folder, 'DIR')]
    throw error
  }
  throw new Error('expected a HeedError')
}

async function editConfig(change: (config: Record<string, unknown>) => Record<string, unknown>): Promise<void> {
  const path = join(folder, 'config.json')
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')))))
}

async function editWeights(change: (tensors: Record<string, tf.Tensor>) => void): Promise<void> {
  const path = join(folder, 'model.safetensors')
  const tensors = await readSafetensors(path)
  change(tensors)
  await writeSafetensors(path, tensors)
  tf.dispose(tensors)
}

describe('Auto classes', () => {
  test('make the class that config.json names', async () => {
    const model = await AutoModelForCausalLM.fromPretrained(folder)
    expect(model).toBeInstanceOf(Gpt2LMHeadModel)
    expect(model.isTraining).toBe(false)
    model.dispose()
  })

  test('make the bare model of a folder with a head, with the same hidden states', async () => {
    const [withHead, bare] = [await AutoModelForCausalLM.fromPretrained(folder), await AutoModel.fromPretrained(folder)]
    expect(bare).toBeInstanceOf(Gpt2Model)
    tf.tidy(() => {
      const inputs = { inputIds: [[1, 2, 3]], outputHiddenStates: true }
      const expected = withHead.forward(inputs).hiddenStates!.at(-1)!
      expect((bare as Gpt2Model).forward(inputs).lastHiddenState.dataSync()).toEqual(expected.dataSync())
    })
    withHead.dispose()
    bare.dispose()
  })

  test('name a model type that nobody registered', async () => {
    await editConfig(config => ({ ...config, model_type: 'unknown', architectures: ['Unknown'] }))
    expect(registeredArchitectures()).toContain('GPT2LMHeadModel')
    expect(await failureOf(() => AutoModelForCausalLM.fromPretrained(folder))).toEqual([
      'HEED_CONFIG_INVALID',
      'DIR/config.json: model_type is "unknown", expected one with a registered causal-lm architecture: gpt2. ' +
        'Register yours with registerArchitecture.',
    ])
  })
})

describe('a head the checkpoint lacks', () => {
  const load = (onWarning: (message: string) => void): Promise<Gpt2ForSequenceClassification> =>
    loadPretrained(folder, (hf, source) => new Gpt2ForSequenceClassification(gpt2Config.fromHf(hf, source)), {
      config: { num_labels: 3, id2label: null },
      onWarning,
    })

  test('begins at random, with a warning that names it', async () => {
    const warnings: string[] = []
    const model = await load(message => warnings.push(message))
    expect(warnings.map(text => text.replaceAll(folder, 'DIR'))).toEqual([
      'DIR/model.safetensors: score.weight begin at random, since the checkpoint has none. Train them.',
    ])
    expect(model.score.weight.shape).toEqual([3, 16])
    expect(model.score.weight.dataSync().every(value => value !== 0)).toBe(true)
    model.dispose()
  })
})

describe('a BERT saved without its pooler', () => {
  beforeEach(async () => {
    await cp(new URL('../fixtures/bert-tiny/model', import.meta.url), folder, { recursive: true })
    await editWeights(tensors => {
      delete tensors['pooler.dense.weight']
      delete tensors['pooler.dense.bias']
    })
  })

  test('gets a new one, with a warning that names it', async () => {
    const warnings: string[] = []
    const model = (await AutoModel.fromPretrained(folder, { onWarning: text => warnings.push(text) })) as BertModel
    expect(warnings.map(text => text.replaceAll(folder, 'DIR'))).toEqual([
      'DIR/model.safetensors: pooler.dense.weight, pooler.dense.bias begin at random, since the checkpoint has none. Train them.',
    ])
    expect(model.pooler!.weight.dataSync().every(value => value !== 0)).toBe(true)
    model.dispose()
  })

  test('is refused when it lacks another tensor too', async () => {
    await editWeights(tensors => {
      delete tensors['embeddings.LayerNorm.bias']
    })
    expect((await failureOf(() => AutoModel.fromPretrained(folder)))[1]).toContain(
      'tensors are 3 missing (embeddings.LayerNorm.bias, pooler.dense.weight, pooler.dense.bias)',
    )
  })
})

describe('bad checkpoints', () => {
  const load = () => AutoModelForCausalLM.fromPretrained(folder)

  test('a missing tensor is named', async () => {
    await editWeights(tensors => {
      delete tensors['transformer.h.0.ln_1.weight']
    })
    expect(await failureOf(load)).toEqual([
      'HEED_STATE_DICT_MISMATCH',
      'DIR/model.safetensors: tensors are 1 missing (transformer.h.0.ln_1.weight), expected the keys and shapes of ' +
        'Gpt2LMHeadModel. Check that the checkpoint and the configuration belong together.',
    ])
  })

  test('a tensor too many within the model is named', async () => {
    await editWeights(tensors => {
      tensors['transformer.h.2.ln_1.weight'] = tf.zeros([16])
    })
    expect((await failureOf(load))[1]).toContain('1 unexpected (transformer.h.2.ln_1.weight)')
  })

  test('options of an unknown name, and a dtype of files, are refused', async () => {
    const loadWith = (options: object) => failureOf(() => AutoModelForCausalLM.fromPretrained(folder, options))
    expect(await loadWith({ dtyp: 'float16' })).toEqual([
      'HEED_ARGUMENT_INVALID',
      'fromPretrained: dtyp is not an option, expected dtype. Rename it or leave it out.',
    ])
    expect(await loadWith({ dtype: 'F16' })).toEqual([
      'HEED_ARGUMENT_INVALID',
      'fromPretrained: dtype is "F16", expected one of auto, float32, float16, bfloat16, q8_0, q4_0. Leave it out for float32.',
    ])
  })

  test('a tensor under both of its keys must be the same, since HF ties only then', async () => {
    const both = (change: (table: tf.Tensor) => tf.Tensor): Promise<void> =>
      editWeights(tensors => {
        tensors['lm_head.weight'] = change(tensors['transformer.wte.weight']!)
      })
    await both(table => tf.clone(table))
    ;(await load()).dispose()
    await both(table => tf.add(table, 1e-3))
    expect(await failureOf(load)).toEqual([
      'HEED_STATE_DICT_MISMATCH',
      'DIR/model.safetensors: transformer.wte.weight and lm_head.weight differ, expected the same numbers, since they are one ' +
        'parameter of Gpt2LMHeadModel. Set tie_word_embeddings to false in config.json where it ties what is not tied, or load ' +
        'with strict: false to take transformer.wte.weight.',
    ])
    ;(await AutoModelForCausalLM.fromPretrained(folder, { strict: false })).dispose()
    const untied = await AutoModelForCausalLM.fromPretrained(folder, { config: { tie_word_embeddings: false } })
    expect([...untied.stateDict().keys()]).toContain('lm_head.weight')
    untied.dispose()
  })

  test('a transposed tensor is named with both shapes', async () => {
    await editWeights(tensors => {
      tensors['transformer.wpe.weight'] = tf.transpose(tensors['transformer.wpe.weight']!)
    })
    expect((await failureOf(load))[1]).toContain(
      '1 of another shape (transformer.wpe.weight has shape [16, 32], expected [32, 16])',
    )
  })

  test('a broken or missing config.json is named', async () => {
    await writeFile(join(folder, 'config.json'), '[]')
    expect(await failureOf(load)).toEqual(['HEED_FILE_INVALID', 'DIR/config.json: content is [], expected an object.'])
    await rm(join(folder, 'config.json'))
    expect((await failureOf(load))[0]).toBe('HEED_FILE_NOT_FOUND')
  })

  test('a model that throws while it is made leaves no tensors', async () => {
    const load = (): Gpt2Model => {
      tinyGpt2()
      throw new HeedError('HEED_CONFIG_INVALID', 'half a model')
    }
    expect(await failureOf(() => loadPretrained(folder, load))).toEqual(['HEED_CONFIG_INVALID', 'half a model'])
  })

  test('a generation_config.json with a bad value is named', async () => {
    await writeFile(join(folder, 'generation_config.json'), '{"num_beams": 0}')
    expect(await failureOf(load)).toEqual([
      'HEED_CONFIG_INVALID',
      'DIR/generation_config.json: num_beams is 0, expected a positive integer. Change it or leave it out.',
    ])
  })

  test('numbers that only sampling uses are kept, and refused when it does, as in HF', async () => {
    const settings = { do_sample: false, temperature: 0, top_p: 0, top_k: -1, pad_token_id: -1 }
    await writeFile(join(folder, 'generation_config.json'), JSON.stringify(settings))
    const model = await load()
    const [row] = await model.generate([[1, 2, 3]], { maxNewTokens: 2 })
    expect(row!.length).toBe(5)
    expect(await failureOf(() => model.generate([[1, 2, 3]], { doSample: true }))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'generate: temperature is 0, expected a number above 0. Change it or leave it out.',
    ])
    await model.savePretrained(folder)
    expect(JSON.parse(await readFile(join(folder, 'generation_config.json'), 'utf8'))).toMatchObject(settings)
    model.dispose()
  })
})

describe('saving', () => {
  test.each([
    ['dtype', { dtype: 'float16' }],
    ['torch_dtype', { torch_dtype: 'float16' }],
    ['torch_dtype', {}],
  ])('names the type of the weights %s where config.json has %j', async (name, read) => {
    const path = join(folder, 'config.json')
    const { dtype: _, torch_dtype: __, ...config } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    await writeFile(path, JSON.stringify({ ...config, ...read }))
    const model = await AutoModelForCausalLM.fromPretrained(folder)
    await model.savePretrained(folder)
    model.dispose()
    const { dtype, torch_dtype } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    expect({ dtype, torch_dtype }).toEqual({ dtype: undefined, torch_dtype: undefined, [name]: 'float32' })
  })

  test('in bfloat16 and in shards it loads again, within the rounding', async () => {
    const model = await AutoModelForCausalLM.fromPretrained(folder)
    await model.savePretrained(folder, { dtype: 'BF16', maxShardSize: '2KB' })
    expect((await readdir(folder)).filter(name => name === 'model.safetensors')).toEqual([])
    expect(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')).torch_dtype).toBe('bfloat16')
    const again = await AutoModelForCausalLM.fromPretrained(folder)
    for (const [key, parameter] of again.namedParameters()) {
      expect(parameter.dataSync()).toBeAllclose(model.stateDict().get(key)!.dataSync(), { atol: 0, rtol: 2 ** -8 })
    }
    model.dispose()
    again.dispose()
  })

  test('with a dtype that there is not is refused before anything is written', async () => {
    const model = await AutoModelForCausalLM.fromPretrained(folder)
    const target = join(folder, 'new')
    expect(await failureOf(() => model.savePretrained(target, { dtype: 'float16' as 'F16' }))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'savePretrained: dtype is "float16", expected one of F32, F16, BF16, F64.',
    ])
    expect(await readdir(folder)).not.toContain('new')
    expect(await failureOf(() => model.savePretrained(''))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'savePretrained: folder is "", expected the path of a folder.',
    ])
    expect(await failureOf(() => model.savePretrained(undefined as never))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'savePretrained: folder is undefined, expected the path of a folder.',
    ])
    expect(await failureOf(() => model.savePretrained(target, { dtyp: 'F16' } as never))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'savePretrained: dtyp is not an option, expected dtype. Rename it or leave it out.',
    ])
    model.dispose()
  })

  test('keeps keys of config.json and generation_config.json that it does not know', async () => {
    await editConfig(config => ({ ...config, note: { mine: true } }))
    await writeFile(join(folder, 'generation_config.json'), '{"top_k": 7, "custom": [1], "temperature": 0.5}')
    const model = await AutoModelForCausalLM.fromPretrained(folder)
    await model.savePretrained(folder)
    expect(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')).note).toEqual({ mine: true })
    expect(JSON.parse(await readFile(join(folder, 'generation_config.json'), 'utf8'))).toMatchObject({
      top_k: 7,
      custom: [1],
      temperature: 0.5,
    })
    model.dispose()
  })

  test('writes whole floats as floats, its own and those it does not know, since transformers 5 refuses integers there', async () => {
    const path = join(folder, 'config.json')
    const text = await readFile(path, 'utf8')
    await writeFile(
      path,
      text.replace('{', '{ "layerdrop": 0.0, "count": 3, "resid_pdrop": 0,').replace(/"resid_pdrop": 0.1,/, ''),
    )
    const model = await AutoModelForCausalLM.fromPretrained(folder)
    await model.savePretrained(folder)
    const saved = await readFile(path, 'utf8')
    for (const line of ['"layerdrop": 0.0,', '"count": 3,', '"resid_pdrop": 0.0,']) expect(saved).toContain(line)
    model.dispose()
  })

  test('progress counts every tensor', async () => {
    const steps: number[] = []
    const model = await AutoModelForCausalLM.fromPretrained(folder, { onProgress: ({ loaded }) => steps.push(loaded) })
    expect(steps).toEqual(model.parameters().map((_, i) => i + 1))
    model.dispose()
  })
})
