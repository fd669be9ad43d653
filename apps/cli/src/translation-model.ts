import { join } from 'node:path'
import { init, writeFileAtomic } from '@heed/tensor-backend'
import {
  BpeModel,
  BpeTrainer,
  ByteLevelDecoder,
  ByteLevelPreTokenizer,
  byteLevelAlphabet,
  SequenceDecoder,
  StripDecoder,
  TemplatePostProcessor,
  Tokenizer,
} from '@heed/tokenizer'
import {
  averageCheckpoints,
  bleu,
  completeArguments,
  type Dataset,
  encodePairs,
  interruptSignal,
  listCheckpoints,
  loadParallelText,
  lossPlot,
  onFirstProcess,
  type Seq2SeqExample,
  seq2SeqCollator,
  type TextPair,
  Trainer,
  type TrainingArguments,
  type TrainOutput,
} from '@heed/trainer'
import { pipeline, Transformer, transformerConfig } from 'heed'
import { type DryRun, dryRun } from './dry-run.ts'
import type { ParallelPaths, TranslationRecipe } from './recipe.ts'
import { checkRunOfRecipe } from './resumed-run.ts'
import { formatCount, formatSeconds } from './terminal/format.ts'
import { ProgressBar } from './terminal/progress.ts'
import { runInBatches } from './text-task.ts'
import type { RunFlags } from './training-options.ts'
import { describeBackend, sayTo, trainingReport } from './training-report.ts'
import { tokenizerFolder, tokenizerOfRun, withoutEvaluation } from './training-session.ts'
import { translationSettings } from './translation-settings.ts'

export interface TranslationRun {
  out: string
  resume: boolean
  overwrite: boolean
  isJson: boolean
}

export interface TranslationResult {
  /** Where the HuggingFace folder was saved. */
  model: string
  globalStep: number
  isInterrupted: boolean
  /** Mean over the validation tokens, in nats, of the saved weights; `labelSmoothingFactor` smooths it, the model's own smoothing does not. */
  validationLoss: number
  trainSeconds: number
  /** Of the test, where the recipe has one and training came to its end. */
  bleu?: number
}

/** Their ids are their places. */
const specialTokens = ['<pad>', '<s>', '</s>'] as const
const [padTokenId, bosTokenId, eosTokenId] = [0, 1, 2]

const testBatchSize = 32

/** Sentences whose translation the report shows. */
const numShown = 3

interface TranslationParts {
  tokenizer: Tokenizer
  trainDataset: Dataset<Seq2SeqExample>
  evalDataset: Dataset<Seq2SeqExample>
  /** Some of the validation, for the report to show. */
  shown: TextPair[]
  model: Transformer
}

/** Tokenizer, data and model of a recipe; the tokenizer is that of the run in `resumedDir` where one goes on. */
async function makeParts(recipe: TranslationRecipe, isJson: boolean, resumedDir?: string): Promise<TranslationParts> {
  const say = sayTo(isJson)
  const begun = resumedDir === undefined ? undefined : await tokenizerOfRun(resumedDir)
  if (begun) await checkRunOfRecipe(recipe, begun, resumedDir!)
  say('backend', describeBackend(await init()))

  const train = await loadParallelText(recipe.data.train)
  const validation = await loadParallelText(recipe.data.validation)
  const tokenizer = begun ?? (await trainJointBpe(train, recipe.tokenizer, isJson))
  const trainDataset = await encodePairs(train, tokenizer)
  const evalDataset = await encodePairs(validation, tokenizer)
  say('data', `${formatCount(train.length)} pairs, a joint vocabulary of ${formatCount(tokenizer.vocabSize)}`)

  const { seed = 42 } = recipe.training
  const config = { ...recipe.model, vocabSize: tokenizer.vocabSize, padTokenId, bosTokenId, eosTokenId: [eosTokenId] }
  const model = new Transformer(transformerConfig.complete(config), { seed })
  model.generationConfig = { ...recipe.generation, otherKeys: {} }
  say('model', `${model.config.modelType}, ${formatCount(model.numParameters)} parameters`)
  return { tokenizer, trainDataset, evalDataset, shown: [...validation.take(numShown)], model }
}

const collator = seq2SeqCollator({ padTokenId, decoderStartTokenId: bosTokenId })

/** What training a recipe would take; see `dryRun`. */
export async function dryRunTranslation(recipe: TranslationRecipe, flags: RunFlags): Promise<DryRun> {
  const args = runArguments(recipe, flags)
  completeArguments(args)
  const { model, trainDataset } = await makeParts(recipe, flags.json === true, flags.resume ? flags.out : undefined)
  try {
    return await dryRun({ model, args, trainDataset, collator })
  } finally {
    model.dispose()
  }
}

/** Trains the 2017 Transformer of a recipe, and saves it with its tokenizer. Throws as the steps it is made of. */
export async function trainTranslation(recipe: TranslationRecipe, run: TranslationRun): Promise<TranslationResult> {
  const { out, isJson } = run
  completeArguments(runArguments(recipe, run))
  const say = sayTo(isJson)
  const parts = await makeParts(recipe, isJson, run.resume ? out : undefined)
  const { tokenizer, model } = parts
  const { signal, release } = interruptSignal()
  try {
    const trainer = makeTrainer(recipe, run, parts)
    const output = await trainer.train({ resumeFromCheckpoint: run.resume, signal })
    say('trained', describeTraining(output))
    if (!output.isInterrupted) await averageLast(recipe.averageCheckpoints ?? 1, out, model)
    const folder = join(out, 'model')
    if (trainer.state.isWorldProcessZero) {
      await model.savePretrained(folder)
      await tokenizer.save(folder)
    }
    if (signal.aborted && !output.isInterrupted) throw withoutEvaluation(folder)
    release() // from here on Ctrl-C loses nothing
    const { evalLoss } = await trainer.evaluate()
    say('saved', `${folder}, validation loss ${evalLoss!.toFixed(3)}`)
    const { globalStep, isInterrupted, metrics } = output
    const result = { model: folder, globalStep, isInterrupted, validationLoss: evalLoss! }
    const { test } = recipe.data
    const score = test && !isInterrupted ? { bleu: await testTranslation(test, { model, tokenizer }, run) } : {}
    return { ...result, trainSeconds: metrics.trainRuntime!, ...score }
  } finally {
    release()
    model.dispose()
  }
}

function runArguments(
  { training, averageCheckpoints: numAveraged = 1 }: TranslationRecipe,
  { out, overwrite }: Pick<RunFlags, 'out' | 'overwrite'>,
): Partial<TrainingArguments> {
  return { saveTotalLimit: numAveraged, ...training, outputDir: out, overwriteOutputDir: overwrite }
}

function makeTrainer(
  recipe: TranslationRecipe,
  run: TranslationRun,
  { model, tokenizer, trainDataset, evalDataset, shown }: TranslationParts,
): Trainer<Seq2SeqExample> {
  const { out, isJson } = run
  const sources = shown.map(({ source }) => source)
  return new Trainer({
    model,
    trainDataset,
    evalDataset,
    args: runArguments(recipe, run),
    collator,
    async sampleTexts() {
      const translate = await pipeline('translation', { model, tokenizer })
      const made = await translate(sources, {
        batchSize: sources.length,
        numBeams: 1,
        maxNewTokens: 64,
        truncation: true,
      })
      return shown.map(({ source, target }, i) => ({
        ...{ prompt: source, text: made[i]!.translationText, expected: target },
      }))
    },
    callbacks: [
      onFirstProcess({ onTrainBegin: () => tokenizer.save(tokenizerFolder(out)) }),
      trainingReport(isJson),
      lossPlot(out),
    ],
  })
}

function describeTraining({ globalStep, metrics, isInterrupted }: TrainOutput): string {
  const end = isInterrupted ? '; stopped early, --resume goes on' : ''
  return `${formatCount(globalStep)} steps in ${formatSeconds(metrics.trainRuntime!)}${end}`
}

async function averageLast(count: number, outputDir: string, model: Transformer): Promise<void> {
  const checkpoints = (await listCheckpoints(outputDir)).slice(-count)
  if (count > 1 && checkpoints.length > 0) await averageCheckpoints(checkpoints, model)
}

/** Translates a test, writes the translations to `test.txt`, a line each, and gives their BLEU. */
async function testTranslation(
  files: ParallelPaths,
  parts: { model: Transformer; tokenizer: Tokenizer },
  { out, isJson }: TranslationRun,
): Promise<number> {
  const pairs = [...(await loadParallelText(files))]
  const translate = await pipeline('translation', parts)
  const translations: string[] = []
  await runInBatches(
    pairs.map(({ source }) => source),
    { label: 'test', batchSize: testBatchSize, isQuiet: isJson },
    batch => translate(batch, { batchSize: batch.length, truncation: true, ...translationSettings(parts.model, {}) }),
    (_text, { translationText }) => translations.push(translationText),
  )
  const file = join(out, 'test.txt')
  await writeFileAtomic(file, translations.map(line => `${line}\n`).join(''))
  const { score, brevityPenalty } = bleu(translations, [pairs.map(({ target }) => target)])
  sayTo(isJson)(
    'test',
    `BLEU ${score.toFixed(2)} (brevity penalty ${brevityPenalty.toFixed(3)}), translations in ${file}`,
  )
  return score
}

/** One byte-level BPE of both languages; texts end with `</s>`, and words are spelled alike wherever they stand. */
async function trainJointBpe(
  pairs: Dataset<TextPair>,
  { vocabSize, minFrequency = 2 }: TranslationRecipe['tokenizer'],
  isQuiet: boolean,
): Promise<Tokenizer> {
  const [pad_token, bos_token, eos_token] = specialTokens
  const tokenizer = new Tokenizer({
    model: new BpeModel(),
    preTokenizer: new ByteLevelPreTokenizer({ addPrefixSpace: true }),
    postProcessor: new TemplatePostProcessor({
      single: `$A ${eos_token}`,
      pair: `$A ${eos_token} $B ${eos_token}`,
      specialTokens: [[eos_token, eosTokenId]],
    }),
    decoder: new SequenceDecoder([new ByteLevelDecoder(), new StripDecoder(' ', 1, 0)]),
    config: { pad_token, bos_token, eos_token },
  })
  const trainer = new BpeTrainer({ vocabSize, minFrequency, specialTokens, initialAlphabet: byteLevelAlphabet })
  const bar = new ProgressBar('tokenizer', vocabSize, isQuiet)
  await trainer.train(
    tokenizer,
    [...pairs].flatMap(({ source, target }) => [source, target]),
    {
      onProgress: ({ stage, done }) => stage === 'Compute merges' && bar.update(done, `${formatCount(done)} merges`),
    },
  )
  bar.clear()
  return tokenizer
}
