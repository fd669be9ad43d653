import type { BenchCase } from './compare.ts'
import type { ModelTask } from './contestant.ts'
import { modelBytes, modelPath } from './models.ts'

interface ModelSizes {
  title: string
  /** Tokens read at once by `prefill`. */
  prefill: number
  /** Tokens that are there when decoding begins. */
  prompt: number
  /** Tokens decoded one after the other. */
  written: number
}

const llama = (type: string, written: number): ModelSizes => ({
  title: `LLaMA 1.1B ${type}`,
  prefill: 512,
  prompt: 32,
  written,
})

/** By the name that `models.ts` knows. */
const models: Readonly<Record<string, ModelSizes>> = {
  gpt2: { title: 'GPT-2 124M F32', prefill: 256, prompt: 256, written: 32 },
  'llama-Q8_0': llama('Q8_0', 32),
  'llama-Q4_0': llama('Q4_0', 32),
  'llama-Q4_K': llama('Q4_K', 32),
  'llama-Q6_K': llama('Q6_K', 32),
  'llama-F16': llama('F16', 16),
  'llama-F32': llama('F32', 8),
}

function modelTask(name: ModelTask['name'], model: string): () => Promise<ModelTask> {
  const { prefill, prompt, written } = models[model]!
  return async () => ({
    name,
    model,
    path: await modelPath(model),
    prompt: name === 'prefill' ? prefill : prompt,
    written,
  })
}

/** Greedy decoding, one token at a time. */
export const decodeCases: BenchCase[] = Object.entries(models).map(([model, { title, prompt, written }]) => ({
  title: `decode ${title} after ${prompt} tokens`,
  task: modelTask('decode', model),
  repeats: 1,
  rate: seconds => written / seconds,
  unit: 'tokens/s',
}))

/** A prompt to the logits of its last token. */
export const prefillCases: BenchCase[] = Object.entries(models).map(([model, { title, prefill }]) => ({
  title: `prefill ${title}, ${prefill} tokens`,
  task: modelTask('prefill', model),
  repeats: 1,
  rate: seconds => prefill / seconds,
  unit: 'tokens/s',
}))

/** A file in the system's cache to a model that can answer. */
export const loadCases: BenchCase[] = Object.entries(models).map(([model, { title }]) => ({
  title: `load ${title}`,
  task: modelTask('load', model),
  repeats: 1,
  rate: seconds => modelBytes(model) / 1e9 / seconds,
  unit: 'GB/s',
}))
