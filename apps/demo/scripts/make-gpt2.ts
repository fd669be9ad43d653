/**
 * Makes `models/stories-gpt2`: a GPT-2 of the sizes, the vocabulary and the words of the story teller (stories260K, a LLaMA), so
 * that the page can lay the two side by side on one sentence. The LLaMA writes stories, the GPT-2 learns them.
 * `node --import ./tooling/scripts/typescript-register.mjs apps/demo/scripts/make-gpt2.ts`, some ten minutes on two cores.
 */
import { fileURLToPath } from 'node:url'
import { Tokenizer } from '@heed/tokenizer'
import { PackedTokens, Trainer } from '@heed/trainer'
import { Gpt2LMHeadModel, gpt2Config, init, LlamaForCausalLM } from 'heed'

const numStories = 1536
const storiesAtOnce = 256
const validationTokens = 16_384

await init()
const teller = fileURLToPath(new URL('../../../packages/llama/test/fixtures/stories260K', import.meta.url))
const folder = fileURLToPath(new URL('../models/stories-gpt2', import.meta.url))
const llama = await LlamaForCausalLM.fromPretrained(teller)
const { vocabSize, hiddenSize, numHiddenLayers, numAttentionHeads, bosTokenId, eosTokenId } = llama.config
const [bos, eos] = [bosTokenId!, eosTokenId[0]!]

const tokens: number[] = []
for (let seed = 0; seed < numStories / storiesAtOnce; seed++) {
  const prompts = Array.from({ length: storiesAtOnce }, () => [bos])
  const stories = await llama.generate(prompts, { maxNewTokens: 255, doSample: true, temperature: 1, topK: 0, seed })
  for (const story of stories) {
    const end = story.indexOf(eos)
    tokens.push(...(end < 0 ? story : story.slice(0, end)))
  }
  console.log(`stories ${(seed + 1) * storiesAtOnce}: ${tokens.length} tokens`)
}
llama.dispose()

const config = gpt2Config.complete({
  vocabSize,
  hiddenSize,
  numHiddenLayers,
  numAttentionHeads,
  maxPositionEmbeddings: 128,
  hiddenDropout: 0,
  embeddingDropout: 0,
  attentionDropout: 0,
  bosTokenId: bos,
  eosTokenId: [eos],
})
const model = new Gpt2LMHeadModel(config, { seed: 1 })
const blockSize = config.maxPositionEmbeddings
const ids = Uint16Array.from(tokens)
const trainer = new Trainer({
  model,
  args: {
    maxSteps: 3000,
    perDeviceTrainBatchSize: 16,
    perDeviceEvalBatchSize: 16,
    learningRate: 3e-3,
    lrSchedulerType: 'cosine',
    warmupSteps: 100,
    weightDecay: 0.1,
    adamBeta2: 0.99,
    loggingSteps: 200,
    seed: 1,
  },
  trainDataset: new PackedTokens(ids.subarray(validationTokens), { blockSize, stride: 1 }),
  evalDataset: new PackedTokens(ids.subarray(0, validationTokens), { blockSize }),
  callbacks: [{ onLog: ({ logs }) => console.log(logs) }],
})
await trainer.train()
console.log(await trainer.evaluate())
await model.savePretrained(folder, { dtype: 'F16' })
const tokenizer = await Tokenizer.fromPretrained(teller)
await tokenizer.save(folder)
const [story] = await model.generate([[...tokenizer.encode('Once upon a time').ids]], { maxNewTokens: 60 })
console.log(tokenizer.decode(story!))
model.dispose()
