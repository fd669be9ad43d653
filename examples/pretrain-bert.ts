/**
 * From a text to a model that fills masks: train a WordPiece tokenizer, cut the text into examples, train BERT by masked
 * language modelling, save it, load it, fill masks. Devlin et al. 2018 (arXiv:1810.04805), section 3.1, in small.
 */
import { readFileSync } from 'node:fs'
import { bertSpecialTokens, createBertWordPiece, type Tokenizer, WordPieceTrainer } from '@heed/tokenizer'
import { Dataset, maskedLmCollator } from '@heed/trainer'
import {
  BertForMaskedLM,
  bertConfig,
  init,
  pipeline,
  Trainer,
  type TrainerCallback,
  type TrainingArguments,
} from 'heed'

export const recipe = {
  vocabSize: 2048,
  maxLength: 64,
  model: { hiddenSize: 192, intermediateSize: 768, numHiddenLayers: 4, numAttentionHeads: 4 },
  args: { maxSteps: 1500, perDeviceTrainBatchSize: 32, learningRate: 1e-3, warmupRatio: 0.1, weightDecay: 0.01 },
}

/** Paragraphs for training and for validation. */
export function readParagraphs(file: string): { train: Dataset<string>; test: Dataset<string> } {
  const paragraphs = readFileSync(file, 'utf8').split(/\n\n+/)
  return Dataset.from(paragraphs.filter(text => text.trim() !== '')).trainTestSplit({ testSize: 0.1 })
}

export async function trainTokenizer(texts: Iterable<string>, vocabSize: number): Promise<Tokenizer> {
  const tokenizer = createBertWordPiece()
  await new WordPieceTrainer({ vocabSize, specialTokens: bertSpecialTokens }).train(tokenizer, texts)
  return tokenizer
}

export function encodeParagraph(
  tokenizer: Tokenizer,
  text: string,
): { inputIds: number[]; specialTokensMask: number[] } {
  const { ids, specialTokensMask } = tokenizer.encode(text, { truncation: { maxLength: recipe.maxLength } })
  return { inputIds: ids, specialTokensMask }
}

/** Trains by `recipe` with `args` in place of some of its own, and saves model and tokenizer in `folder` -> the losses of the validation. */
export async function pretrainBert(
  file: string,
  folder: string,
  args: Partial<TrainingArguments> = {},
  callbacks: TrainerCallback[] = [],
): Promise<Record<string, number>> {
  const { train, test } = readParagraphs(file)
  const tokenizer = await trainTokenizer(train, recipe.vocabSize)
  const { vocabSize } = tokenizer
  const sizes = { vocabSize, maxPositionEmbeddings: recipe.maxLength, ...recipe.model }
  const model = new BertForMaskedLM(bertConfig.complete(sizes), { seed: args.seed ?? 42 })
  const trainer = new Trainer({
    model,
    args: { ...recipe.args, ...args },
    trainDataset: await train.map(text => encodeParagraph(tokenizer, text)),
    evalDataset: await test.map(text => encodeParagraph(tokenizer, text)),
    collator: maskedLmCollator({ maskTokenId: 4, padTokenId: 0, vocabSize }),
    callbacks,
  })
  await trainer.train()
  const metrics = await trainer.evaluate()
  await model.savePretrained(folder)
  await tokenizer.save(folder)
  model.dispose()
  return metrics
}

if (process.argv[1] === import.meta.filename) {
  const [file = 'data/tiny-shakespeare.txt', folder = 'bert-shakespeare'] = process.argv.slice(2)
  await init()
  console.log(await pretrainBert(file, folder, { loggingSteps: 50 }, [{ onLog: ({ logs }) => console.log(logs) }]))
  const fill = await pipeline('fill-mask', folder)
  console.log(await fill('My lord, I [MASK] not what to say.'))
  fill.dispose()
}
