export { type InterruptSignal, interruptSignal } from '#folder'
export {
  completeArguments,
  type IntervalStrategy,
  type OptimizerType,
  type SaveStrategy,
  type TrainingArguments,
} from './arguments.ts'
export { averageCheckpoints } from './average-checkpoints.ts'
export { type BleuScore, bleu } from './bleu.ts'
export {
  onFirstProcess,
  type Progress,
  type TrainerCallback,
  type TrainerControl,
  type TrainerEvent,
  type TrainerEventName,
  type TrainerHook,
} from './callbacks.ts'
export { loadWeights, readTrainerState } from './checkpoint.ts'
export { type Batch, type BatchArray, ignoreIndex } from './data/batch.ts'
export { type ChatMessage, type ChatTokenizer, chatExample } from './data/chat.ts'
export {
  type ClassificationExample,
  type ClassificationOptions,
  type Collator,
  causalLmCollator,
  classificationCollator,
  type MaskedLmExample,
  type MaskedLmOptions,
  maskedLmCollator,
  type PaddingOptions,
  type Seq2SeqExample,
  type Seq2SeqOptions,
  seq2SeqCollator,
} from './data/collators.ts'

export { concatenateDatasets, Dataset, type SplitOptions } from './data/dataset.ts'
export {
  type DatasetFormat,
  type LoadDatasetOptions,
  type LoadRepositoryOptions,
  loadDataset,
  type ReadRowsOptions,
  type Row,
  streamDataset,
} from './data/load-dataset.ts'
export type { BatchFunction, BatchOptions, MapOptions, RowFunction } from './data/map-rows.ts'
export {
  type DocumentSentences,
  type NextSentenceExample,
  type NextSentenceOptions,
  nextSentenceCollator,
  nextSentencePairs,
} from './data/next-sentence.ts'
export { PackedTokens, type PackedTokensOptions, type TokenArray, type TokenExample } from './data/packed-tokens.ts'
export {
  encodePairs,
  loadParallelText,
  type PairTokenizer,
  type ParallelFiles,
  type TextPair,
} from './data/parallel-text.ts'
export { type PreferencePair, preferenceCollator } from './data/preference-pairs.ts'
export type { DatasetLike, IndexedDataset, StreamDataset } from './data/sources.ts'
export { type InterleaveOptions, IterableDataset, interleaveDatasets } from './data/stream.ts'
export {
  loadTextCorpus,
  readTextFiles,
  splitText,
  type TextCorpus,
  type TextCorpusOptions,
  type TextTokenizer,
  textCorpus,
} from './data/text.ts'
export { readDatasetPieces, readTextPieces, type TextPieces } from './data/text-pieces.ts'
export {
  isTokenShards,
  type ShardIndex,
  type TokenPiece,
  TokenShards,
  type TokenShardsOptions,
  writeTokenShards,
} from './data/token-shards.ts'
export { type DistillationConfig, DistilledModel } from './distillation.ts'
export { type EarlyStoppingOptions, earlyStopping } from './early-stopping.ts'
export type { ComputeMetrics, PredictedLabels } from './evaluation.ts'
export { freezeLayers } from './freeze-layers.ts'
export { type LoraConfig, LoraModel } from './lora.ts'
export { accuracy, bitsPerByte, f1Score, perplexity } from './metrics.ts'
export type { ModelInputs, TrainableModel, TrainingOutput } from './model.ts'
export { Adafactor, type AdafactorConfig } from './optim/adafactor.ts'
export { AdamW, type AdamWConfig } from './optim/adamw.ts'
export { CombinedOptimizer } from './optim/combined-optimizer.ts'
export { clipFactor, gradientNorm } from './optim/gradient-clipping.ts'
export { Lion, type LionConfig } from './optim/lion.ts'
export { createMetricSchedule, type MetricSchedule, type MetricScheduleState } from './optim/metric-schedules.ts'
export { Muon, type MuonConfig, suitsMuon } from './optim/muon.ts'
export type { Gradients, NamedParameter, Optimizer, OptimizerStep } from './optim/optimizer.ts'
export {
  followsMetric,
  type MetricSchedulerType,
  type ScheduleOptions,
  type SchedulerType,
  type StepSchedulerType,
  schedulerTypes,
} from './optim/schedule-options.ts'
export { createSchedule, type Schedule, type ScheduleSteps } from './optim/schedules.ts'
export { Sgd, type SgdConfig } from './optim/sgd.ts'
export { StatefulOptimizer, type StateShapes } from './optim/stateful-optimizer.ts'
export { WeightAverage } from './optim/weight-average.ts'
export { hasWeightDecay } from './optim/weight-decay.ts'
export { type DpoConfig, DpoModel } from './preference.ts'
export { type LossPlotOptions, lossPlot, lossPlotPng, lossPlotSvg } from './report/loss-plot.ts'
export { metricsLog } from './report/metrics-log.ts'
export type { TextSample } from './report/run-report.ts'
export { tensorBoardLog } from './report/tensorboard.ts'
export { checkNoOtherRun, lastCheckpoint, listCheckpoints } from './run-folder.ts'
export { Trainer, type TrainerOptions, type TrainOptions } from './trainer.ts'
export type { LogRecord, TrainerState } from './trainer-state.ts'
export type { TrainOutput } from './training-run.ts'
