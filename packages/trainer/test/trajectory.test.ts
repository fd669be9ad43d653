import { LlamaForCausalLM } from '@heed/llama'
import { type BackendName, init, readSafetensors, tf } from '@heed/tensor-backend'
import {
  BertForMaskedLM,
  bertConfig,
  Gpt2LMHeadModel,
  gpt2Config,
  loadPretrained,
  Transformer,
  transformerConfig,
} from '@heed/transformer'
import { describe, expect, test } from 'vitest'
import {
  type Collator,
  causalLmCollator,
  maskedLmCollator,
  type Seq2SeqExample,
  seq2SeqCollator,
} from '../src/data/collators.ts'
import type { TokenExample } from '../src/data/packed-tokens.ts'
import type { TrainableModel } from '../src/model.ts'
import { Trainer } from '../src/trainer.ts'
import { readTrajectory, trajectoryExamples, trajectoryFolder } from './trajectory-fixture.ts'

const models: Array<{
  name: string
  load: (folder: string) => Promise<TrainableModel & { dispose(): void }>
  collator: Collator<TokenExample>
  /** Elements of a bias whose gradient is 0 but for rounding, which Adam makes into steps: they are compared loosely. */
  isLoose?: (key: string, index: number) => boolean
}> = [
  { name: 'llama', load: LlamaForCausalLM.fromPretrained, collator: causalLmCollator() },
  {
    name: 'gpt2',
    load: folder => loadPretrained(folder, (hf, source) => new Gpt2LMHeadModel(gpt2Config.fromHf(hf, source))),
    collator: causalLmCollator(),
    isLoose: (key, index) => key.endsWith('c_attn.bias') && index >= 16 && index < 32, // of the keys
  },
  {
    name: 'bert',
    load: folder => loadPretrained(folder, (hf, source) => new BertForMaskedLM(bertConfig.fromHf(hf, source))),
    collator: maskedLmCollator({ maskTokenId: 4, vocabSize: 31 }),
    isLoose: key => key.endsWith('key.bias'),
  },
  {
    name: 'transformer',
    load: folder => loadPretrained(folder, (hf, source) => new Transformer(transformerConfig.fromHf(hf, source))),
    collator: examples => seq2SeqCollator({ padTokenId: 3, decoderStartTokenId: 1 })(examples as Seq2SeqExample[], 0),
    isLoose: key => key.endsWith('k_proj.bias'),
  },
]

/** Why a backend cannot run here, or undefined when it can. */
async function reasonAgainst(backend: BackendName): Promise<string | undefined> {
  const forced = process.env.HEED_BACKEND
  if (forced && forced !== 'auto' && forced !== backend) return `HEED_BACKEND is ${forced}`
  return init({ backend }).then(
    () => undefined,
    error => error.message,
  )
}

for (const backend of ['native', 'wasm', 'cpu'] as const) {
  const reason = await reasonAgainst(backend)
  describe.each(models)('20 steps of $name', ({ name, load, collator, isLoose }) => {
    const title = `on ${backend} give PyTorch's losses, gradient norms, learning rates and final weights`
    test.skipIf(reason)(reason ? `${title} (skipped: ${reason})` : title, async () => {
      await init({ backend })
      const numTensors = tf.memory().numTensors
      const folder = trajectoryFolder(name)
      const trajectory = readTrajectory(name)
      const { steps, ...recipe } = trajectory.recipe
      const examples = trajectoryExamples(trajectory)
      const model = await load(folder)
      const trainer = new Trainer({
        model,
        args: { ...recipe, maxSteps: steps, perDeviceTrainBatchSize: 2, shuffle: false, loggingSteps: 1 },
        trainDataset: { length: examples.length, get: index => examples[index]! },
        collator,
      })
      await trainer.train()

      const log = trainer.state.logHistory.filter(record => record.loss !== undefined)
      const column = (records: Record<string, number>[], key: string): number[] => records.map(record => record[key]!)
      const close = { atol: 1e-4, rtol: 1e-4 }
      for (const key of ['loss', 'gradNorm', 'learningRate'])
        expect(column(log, key)).toBeAllclose(column(trajectory.steps, key), close)
      const final = await readSafetensors(`${folder}/final.safetensors`)
      for (const [key, parameter] of model.namedParameters())
        for (const loose of [false, true]) {
          const part = (values: ArrayLike<number>): number[] =>
            Array.from(values).filter((_, i) => (isLoose?.(key, i) ?? false) === loose)
          const tolerance = loose ? { atol: 0.02 } : { atol: 2e-4, rtol: 1e-3 }
          expect(part(parameter.dataSync()), key).toBeAllclose(part(final[key]!.dataSync()), tolerance)
        }
      tf.dispose(final)
      model.dispose()
      expect(tf.memory().numTensors).toBe(numTensors)
    })
  })
}
