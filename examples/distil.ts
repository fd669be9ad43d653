/** A small student learns stories from a larger teacher: from the teacher's own words alone, or from all that it considered. */
import { DistilledModel, PackedTokens } from '@heed/trainer'
import { AutoModelForCausalLM, init, LlamaForCausalLM, llamaConfig, Trainer } from 'heed'

await init()
const teacher = await AutoModelForCausalLM.fromPretrained('packages/llama/test/fixtures/stories260K')

const options = { maxNewTokens: 127, minNewTokens: 127, doSample: true, seed: 1 }
const stories = await teacher.generate(Array(32).fill([1]), options) // the teacher writes what to learn from: 1 begins a story
const split = (from: number, to: number) =>
  new PackedTokens(Int32Array.from(stories.slice(from, to).flat()), { blockSize: 128 })

const sizes = { hiddenSize: 48, intermediateSize: 128, numHiddenLayers: 2, numAttentionHeads: 4 }
const config = llamaConfig.complete({ vocabSize: 512, maxPositionEmbeddings: 128, tieWordEmbeddings: true, ...sizes })

async function learn(alpha: number): Promise<number> {
  const student = new LlamaForCausalLM(config, { seed: 1 })
  const args = { maxSteps: 60, perDeviceTrainBatchSize: 4, learningRate: 5e-3 }
  const distilled = new DistilledModel(student, teacher, { alpha, temperature: 1 })
  await new Trainer({ model: distilled, args, trainDataset: split(0, 24) }).train()
  const { evalLoss } = await new Trainer({ model: student, evalDataset: split(24, 32) }).evaluate()
  student.dispose()
  return evalLoss!
}

console.log(`loss on other stories, from the words alone: ${(await learn(0)).toFixed(2)}`)
console.log(`loss on other stories, from the teacher's probabilities: ${(await learn(1)).toFixed(2)}`)
teacher.dispose()
