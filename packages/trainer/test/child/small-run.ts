import type { TrainerCallback } from '../../src/callbacks.ts'
import { Trainer, type TrainOptions } from '../../src/trainer.ts'
import type { TrainOutput } from '../../src/training-run.ts'
import { TinyModel, tinyDataset } from '../tiny-model.ts'

/** Trains a TinyModel, saving at every step, from the newest checkpoint on where there is one. */
export async function smallRun(
  outputDir: string,
  maxSteps: number,
  options: TrainOptions = {},
  callbacks: TrainerCallback[] = [],
): Promise<TrainOutput> {
  const model = new TinyModel()
  const args = {
    outputDir,
    maxSteps,
    perDeviceTrainBatchSize: 2,
    learningRate: 0.01,
    lrSchedulerType: 'constant',
    saveSteps: 1,
    saveTotalLimit: 2,
  } as const
  const trainer = new Trainer({ model, args, trainDataset: tinyDataset(), callbacks })
  try {
    return await trainer.train({ resumeFromCheckpoint: true, ...options })
  } finally {
    model.dispose()
  }
}
