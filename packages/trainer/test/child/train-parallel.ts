/** One process of a data-parallel run; argv is the run's folder and the settings as JSON. Prints the losses in the first process. */
import { init } from '@heed/tensor-backend'
import { Trainer } from '../../src/index.ts'
import { TinyModel, tinyDataset } from '../tiny-model.ts'

const [outputDir, settings = '{}'] = process.argv.slice(2)
const { crashAt, ...args } = JSON.parse(settings)
await init({ backend: 'native', threads: 1 })
const model = new TinyModel({ dropout: 0 })
const trainer = new Trainer({
  model,
  args: { learningRate: 0.01, perDeviceTrainBatchSize: 4, loggingSteps: 1, saveSteps: 5, ...args, outputDir },
  trainDataset: tinyDataset(432), // 48 examples: whole batches for any number of processes
  evalDataset: tinyDataset(100),
  callbacks: [
    {
      onStepEnd({ state }) {
        if (trainer.world?.rank === 1 && state.globalStep === crashAt) process.kill(process.pid, 'SIGKILL')
      },
    },
  ],
})
await trainer.train({ resumeFromCheckpoint: true })
const { evalLoss } = await trainer.evaluate()
if (trainer.state.isWorldProcessZero) {
  const losses = trainer.state.logHistory.flatMap(({ loss }) => (loss === undefined ? [] : [loss]))
  console.log(JSON.stringify({ losses, evalLoss, size: trainer.world?.size ?? 1 }))
}
