import type { BackendReport } from '@heed/tensor-backend'
import { BpeTrainer, byteLevelAlphabet, createByteLevelBpe, Tokenizer } from '@heed/tokenizer'
import {
  type LogRecord,
  lastCheckpoint,
  readTrainerState,
  splitText,
  Trainer,
  type TrainerCallback,
  textCorpus,
} from '@heed/trainer'
import type { CausalLm } from '@heed/transformer'
import { downloadZip } from 'client-zip'
import { Gpt2LMHeadModel, gpt2Config, LlamaForCausalLM, llamaConfig } from 'heed'
import { startBackend } from './backend.ts'
import {
  discardRun,
  filesIn,
  isRunDone,
  modelFolder,
  type Recipe,
  readRun,
  runFolder,
  type SizeName,
  saveRun,
} from './run-store.ts'
import { samplePrompt } from './sample-prompt.ts'

export interface Sample {
  step: number
  text: string
}

/** A run as its last checkpoint has it. */
export interface FoundRun {
  recipe: Recipe
  step: number
  isDone: boolean
  logs: LogRecord[]
  samples: Sample[]
}

export type TrainingEvent =
  | { type: 'backend'; backend: Pick<BackendReport, 'backend' | 'threads'> }
  | { type: 'tokenizer'; done: number; total: number | undefined }
  | { type: 'model'; numParameters: number }
  | { type: 'step'; step: number; maxSteps: number; tokensPerSecond: number; secondsLeft: number | undefined }
  | { type: 'history'; logs: LogRecord[]; samples: Sample[] }
  | { type: 'ended'; isDone: boolean }

/** Of the callback that keeps them in checkpoints. */
const samplesName = 'samples'
const endOfText = '<|endoftext|>'
const tokenizerFolder = `${runFolder}/tokenizer`

const widths: Record<SizeName, { numHiddenLayers: number; hiddenSize: number; numAttentionHeads: number }> = {
  tiny: { numHiddenLayers: 2, hiddenSize: 64, numAttentionHeads: 4 },
  small: { numHiddenLayers: 4, hiddenSize: 128, numAttentionHeads: 4 },
  medium: { numHiddenLayers: 6, hiddenSize: 192, numAttentionHeads: 6 },
}

function newModel({ architecture, size, blockSize }: Recipe, tokenizer: Tokenizer): CausalLm {
  const end = tokenizer.tokenToId(endOfText)!
  const shared = { ...widths[size], vocabSize: tokenizer.vocabSize, maxPositionEmbeddings: blockSize, bosTokenId: end }
  if (architecture === 'gpt2') {
    const dropout = { hiddenDropout: 0, embeddingDropout: 0, attentionDropout: 0 }
    return new Gpt2LMHeadModel(gpt2Config.complete({ ...shared, ...dropout, eosTokenId: [end] }), { seed: 42 })
  }
  const intermediateSize = 32 * Math.round((shared.hiddenSize * 8) / 3 / 32) // as many weights as 4 times in GPT-2's
  const config = llamaConfig.complete({ ...shared, intermediateSize, tieWordEmbeddings: true, eosTokenId: [end] })
  return new LlamaForCausalLM(config, { seed: 42 })
}

async function trainTokenizer(
  text: string,
  vocabSize: number,
  tell: (event: TrainingEvent) => void,
): Promise<Tokenizer> {
  const tokenizer = createByteLevelBpe({ config: { bos_token: endOfText, eos_token: endOfText } })
  const options = { vocabSize, minFrequency: 2, specialTokens: [endOfText], initialAlphabet: byteLevelAlphabet }
  await new BpeTrainer(options).train(tokenizer, text.split(/(?<=\n)/), {
    onProgress: ({ done, total }) => tell({ type: 'tokenizer', done, total }),
  })
  await tokenizer.save(tokenizerFolder)
  return tokenizer
}

/** Writes a few lines every so many steps; what it wrote goes into checkpoints. */
function sampling(
  model: CausalLm,
  tokenizer: Tokenizer,
  { blockSize }: Recipe,
  every: number,
  prompt: string,
): TrainerCallback & { samples: Sample[] } {
  const ids = tokenizer.encode(prompt, { addSpecialTokens: false }).ids.slice(0, blockSize / 2)
  const callback = {
    name: samplesName,
    samples: [] as Sample[],
    exportState: () => callback.samples,
    loadState: (state: unknown) => {
      callback.samples = (state as Sample[] | undefined) ?? []
    },
    async onStepEnd({ state }: { state: { globalStep: number; maxSteps: number } }) {
      if (state.globalStep % every !== 0 && state.globalStep !== state.maxSteps) return
      model.eval()
      const maxNewTokens = Math.min(60, blockSize - ids.length)
      const [written] = await model.generate([ids], { maxNewTokens, doSample: true, temperature: 0.8, seed: 7 })
      model.train()
      const whole = tokenizer.decode(written!).replace(/\ufffd+$/, '') // the last character may lack bytes
      callback.samples.push({ step: state.globalStep, text: whole })
    },
  }
  return callback
}

let running: AbortController | undefined

/** Does something to the run that is kept. Throws where another tab of the site is at it. */
async function alone(work: () => Promise<void>): Promise<void> {
  await navigator.locks.request('run', { ifAvailable: true }, async granted => {
    if (!granted) throw new Error('Another tab of this site is training. Let it end or pause it there, then try again.')
    await work()
  })
}

export const training = {
  /** The run that a reload or a pause left, if there is one. */
  async found(): Promise<FoundRun | undefined> {
    const saved = await readRun()
    if (!saved) return undefined
    const { recipe } = saved
    const isDone = await isRunDone()
    const checkpoint = await lastCheckpoint(runFolder)
    const state = checkpoint === undefined ? undefined : await readTrainerState(checkpoint)
    const step = isDone ? recipe.steps : (state?.globalStep ?? 0)
    const samples = (state?.statefulCallbacks[samplesName] ?? []) as Sample[]
    return { recipe, step, isDone, logs: state?.logHistory ?? [], samples }
  },

  /** Begins a new run, in place of any other. */
  start(recipe: Recipe, text: string, tell: (event: TrainingEvent) => void): Promise<void> {
    return alone(async () => {
      await saveRun(recipe, text)
      await train(recipe, text, tell)
    })
  },

  /** Goes on with the run that is kept. */
  resume(tell: (event: TrainingEvent) => void): Promise<void> {
    return alone(async () => {
      const saved = await readRun()
      if (saved) await train(saved.recipe, saved.text, tell)
    })
  },

  /** Finishes the step, saves a checkpoint and ends `start` or `resume`. */
  pause(): void {
    running?.abort()
  },

  discard: (): Promise<void> => alone(discardRun),

  /** The finished model as an HF folder in a zip. */
  async zip(): Promise<Blob> {
    return downloadZip(await filesIn(modelFolder)).blob()
  },
}

async function train(recipe: Recipe, text: string, tell: (event: TrainingEvent) => void): Promise<void> {
  const controller = new AbortController()
  running = controller
  const { backend, threads } = await startBackend()
  tell({ type: 'backend', backend: { backend, threads } })
  const isResumed = (await lastCheckpoint(runFolder)) !== undefined
  const tokenizer = isResumed
    ? await Tokenizer.fromPretrained(tokenizerFolder)
    : await trainTokenizer(splitText(text, 0.1)[0], recipe.vocabSize, tell)
  const corpus = textCorpus(text, { tokenizer, blockSize: recipe.blockSize, stride: 1 })
  const model = newModel(recipe, tokenizer)
  try {
    tell({ type: 'model', numParameters: model.numParameters })
    const every = Math.max(1, Math.floor(recipe.steps / 20))
    const sampler = sampling(model, tokenizer, recipe, 2 * every, samplePrompt(text))
    const show: TrainerCallback = {
      onTrainBegin: ({ state }) =>
        tell({ type: 'history', logs: [...state.logHistory], samples: [...sampler.samples] }),
      onStepEnd: ({ state, progress }) =>
        tell({
          type: 'step',
          step: state.globalStep,
          maxSteps: state.maxSteps,
          tokensPerSecond: progress.tokensPerSecond,
          secondsLeft: progress.secondsLeft,
        }),
      onLog: ({ state }) => tell({ type: 'history', logs: [...state.logHistory], samples: [...sampler.samples] }),
    }
    const trainer = new Trainer({
      model,
      args: {
        outputDir: runFolder,
        perDeviceTrainBatchSize: recipe.batchSize,
        perDeviceEvalBatchSize: recipe.batchSize,
        maxSteps: recipe.steps,
        learningRate: recipe.learningRate,
        lrSchedulerType: 'cosine',
        warmupSteps: Math.ceil(recipe.steps / 20),
        weightDecay: 0.1,
        adamBeta2: 0.99,
        loggingSteps: Math.max(1, Math.floor(recipe.steps / 100)),
        evalStrategy: 'steps',
        evalSteps: 4 * every,
        saveSteps: every,
        saveTotalLimit: 1,
        seed: 42,
      },
      trainDataset: corpus.train,
      evalDataset: corpus.validation!,
      callbacks: [sampler, show],
    })
    const { isInterrupted } = await trainer.train({ resumeFromCheckpoint: true, signal: controller.signal })
    if (!isInterrupted) {
      await model.savePretrained(modelFolder)
      await tokenizer.save(modelFolder) // last: see isRunDone
    }
    tell({ type: 'ended', isDone: !isInterrupted })
  } finally {
    model.dispose()
    running = undefined
  }
}

export type TrainingWorker = typeof training
