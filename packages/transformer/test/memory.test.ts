import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tf } from '@heed/tensor-backend'
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForMaskedLM,
  AutoModelForQuestionAnswering,
  AutoModelForSeq2SeqLM,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  bartArchitectures,
  bertArchitectures,
  type CausalLm,
  type GenerateOptions,
  gpt2Architectures,
  type PretrainedModel,
  PromptCache,
  pipeline,
  registerArchitecture,
  type Seq2SeqLm,
  stateFromTorch,
  stateToTorch,
  streamText,
  Transformer,
  t5Architectures,
  transformerArchitectures,
  transformerConfig,
} from '@heed/transformer'
import { testOnBackends } from '@heed/transformer/testing'
import { expect } from 'vitest'
import { letterTokenizer, tinyGpt2 } from './tiny-gpt2.ts'

registerArchitecture(
  ...gpt2Architectures,
  ...bertArchitectures,
  ...bartArchitectures,
  ...t5Architectures,
  ...transformerArchitectures,
)

const fixtures = fileURLToPath(new URL('fixtures/', import.meta.url))
const inputIds = [
  [5, 6, 7, 8],
  [9, 6, 5, 4],
]
const attentionMask = [
  [1, 1, 1, 1],
  [0, 1, 1, 1],
]

/** Public calls by name; each frees, or gives to be freed here, all that it makes. */
const calls: Record<string, () => unknown> = {
  ...Object.fromEntries(
    (
      [
        [AutoModel, 'bert-tiny/model'],
        [AutoModelForMaskedLM, 'bert-tiny/masked-lm'],
        [AutoModelForSequenceClassification, 'bert-tiny/sequence-classification'],
        [AutoModelForTokenClassification, 'bert-tiny/token-classification'],
        [AutoModelForQuestionAnswering, 'bert-tiny/question-answering'],
        [AutoModelForCausalLM, 'gpt2-tiny/lm'],
        [AutoModelForSeq2SeqLM, 'bart-tiny'],
        [AutoModelForSeq2SeqLM, 'marian-tiny'],
        [AutoModelForSeq2SeqLM, 't5-tiny/relu'],
        [AutoModelForSeq2SeqLM, 'transformer-tiny/post-norm'],
      ] as const
    ).map(([auto, folder]) => [`loading, a pass, saving and disposal of ${folder}`, () => passThrough(auto, folder)]),
  ),
  'loading that fails': () => expect(AutoModelForCausalLM.fromPretrained(`${fixtures}bert-tiny`)).rejects.toThrow(),
  'a pass that fails': async () => {
    const model = tinyGpt2()
    expect(() => model.forward({ inputIds: [[99]] })).toThrow()
    expect(() => model.forward({ inputIds, attentionMask: [[1]] })).toThrow()
    model.dispose()
  },
  'generation with a decoder, in every way': () => generateInEveryWay(tinyGpt2()),
  'generation with an encoder and a decoder, in every way': async () =>
    generateInEveryWay((await AutoModelForSeq2SeqLM.fromPretrained(`${fixtures}bart-tiny`)) as Seq2SeqLm),
  'a stream that is left, and one that fails': async () => {
    const parts = { model: tinyGpt2(), tokenizer: letterTokenizer() }
    for await (const _ of streamText(parts, 'abc', { maxNewTokens: 8 })) break
    await expect(streamText(parts, [99]).next()).rejects.toThrow()
    parts.model.dispose()
  },
  'a prompt cache': async () => {
    const model = tinyGpt2()
    const promptCache = new PromptCache(model)
    await model.generate([[5, 6, 7]], { maxNewTokens: 3, promptCache })
    await model.generate([[5, 6, 8]], { maxNewTokens: 3, promptCache })
    promptCache.dispose()
    model.dispose()
  },
  'weights of torch.nn.Transformer': () => {
    const config = transformerConfig.complete({
      vocabSize: 20,
      hiddenSize: 8,
      intermediateSize: 8,
      numAttentionHeads: 2,
      encoderLayers: 1,
      decoderLayers: 1,
    })
    const model = new Transformer(config)
    const torch = stateToTorch(model.stateDict())
    tf.dispose([...stateFromTorch(torch).values()])
    tf.dispose([...torch.values()])
    model.dispose()
  },
  pipelines: async () => {
    const folder = `${fixtures}pipelines`
    const quiet = { onWarning: () => {} }
    const fill = await pipeline('fill-mask', `${folder}/fill-mask`)
    await fill(['Anna [MASK] in Paris.', 'The [MASK].'])
    const extract = await pipeline('feature-extraction', `${folder}/fill-mask`, quiet)
    await extract(['Anna', 'Paris'], { pooling: 'mean' })
    const zeroShot = await pipeline('zero-shot-classification', `${folder}/fill-mask`, quiet)
    await zeroShot('Anna', { candidateLabels: ['a', 'b'] })
    const classify = await pipeline('text-classification', `${folder}/text-classification`)
    await classify(['Anna', 'Paris'])
    const tag = await pipeline('token-classification', `${folder}/token-classification`)
    await tag('Anna lives in Paris')
    const answer = await pipeline('question-answering', `${folder}/question-answering`)
    await answer({ question: 'Who?', context: 'Anna lives in Paris.' })
    const write = await pipeline('text-generation', { model: tinyGpt2(), tokenizer: letterTokenizer() })
    await write(['abc', 'fg'], { maxNewTokens: 3 })
    const bart = await AutoModelForSeq2SeqLM.fromPretrained(`${fixtures}bart-tiny`)
    for (const task of ['translation', 'summarization'] as const) {
      await (await pipeline(task, { model: bart, tokenizer: letterTokenizer() }))(['abc', 'f'], { maxNewTokens: 3 })
    }
    bart.dispose()
    for (const each of [fill, extract, zeroShot, classify, tag, answer, write]) each.dispose()
  },
}

async function passThrough(
  auto: { fromPretrained(location: string): Promise<PretrainedModel> },
  name: string,
): Promise<void> {
  const out = await mkdtemp(join(tmpdir(), 'heed-flat-'))
  try {
    const model = await auto.fromPretrained(fixtures + name)
    const { forward } = model as unknown as CausalLm
    tf.dispose(
      forward.call(model, {
        inputIds,
        attentionMask,
        outputHiddenStates: true,
        outputAttentions: true,
        ...('encode' in model && { decoderInputIds: inputIds }),
      }),
    )
    await model.savePretrained(out, { dtype: 'BF16', maxShardSize: '1KB' })
    model.dispose()
    const again = await auto.fromPretrained(out)
    again.dispose()
  } finally {
    await rm(out, { recursive: true })
  }
}

async function generateInEveryWay(model: CausalLm | Seq2SeqLm): Promise<void> {
  const one = inputIds.slice(0, 1)
  const ways: [number[][], GenerateOptions][] = [
    [inputIds, { attentionMask }],
    [inputIds, { doSample: true, topP: 0.9, numReturnSequences: 2 }],
    [inputIds, { numBeams: 3, numReturnSequences: 2, attentionMask }],
    [one, { promptLookupNumTokens: 2 }],
    [one, { assistantModel: model }],
  ]
  for (const [ids, options] of ways) {
    const more = { maxNewTokens: 4, returnDictInGenerate: true, outputScores: true, outputLogits: true } as const
    await model.generate(ids, { ...more, ...options })
    await expect(model.generate(ids, { ...more, ...options, signal: AbortSignal.abort() })).rejects.toThrow()
  }
  model.dispose()
}

testOnBackends('every public call leaves as many tensors as there were', async () => {
  for (const [name, call] of Object.entries(calls)) {
    const before = tf.memory().numTensors
    await call()
    expect(tf.memory().numTensors, name).toBe(before)
  }
}, ['native', 'wasm'])
