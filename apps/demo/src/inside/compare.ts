/** LLaMA beside GPT-2 on one sentence: what sets them apart, in numbers of both models. */
import type { Tokenizer } from '@heed/tokenizer'
import { Gpt2LMHeadModel } from '@heed/transformer'
import { LlamaForCausalLM } from 'heed'
import type { Guess } from '../worker/guess.ts'
import { type InsideModel, Inspection } from './inspect.ts'
import { allParts, type Part } from './module-tree.ts'
import type { Seen } from './watch.ts'

/** What one of the two does where they differ. */
export interface Side {
  architecture: string
  /** The first norm: of each token what its numbers have as mean and root mean square, before and after scaling. */
  norm: { path: string; className: string; before: Moments[]; after: Moments[] }
  /** The feed-forward part of the first layer: what its last projection gets, of all tokens. */
  inner: { path: string; className: string; size: number; values: Float32Array }
  /** What tells positions apart: a learned table [positions, width], or cosines of the angles [positions, pairs]. */
  positions: { width: number; values: Float32Array; isLearned: boolean }
  heads: { query: number; keyValue: number; cachePerToken: number }
  biases: { tensors: number; numbers: number }
  numParameters: number
  next: Guess[]
}

export interface Moments {
  mean: number
  rms: number
}

export interface Comparison {
  tokens: string[]
  gpt2: Side
  llama: Side
}

/** The numbers of each row, a norm's weight and bias taken back. */
function moments({ shape, values }: Seen, weight?: ArrayLike<number>, bias?: ArrayLike<number>): Moments[] {
  const width = shape.at(-1)!
  return Array.from({ length: values.length / width }, (_, row) => {
    const numbers = Array.from(values.subarray(row * width, (row + 1) * width), (value, i) =>
      weight ? (value - (bias?.[i] ?? 0)) / weight[i]! : value,
    )
    const mean = numbers.reduce((sum, x) => sum + x, 0) / width
    return { mean, rms: Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0) / width) }
  })
}

async function sideOf(inspection: Inspection, text: string): Promise<{ side: Side; tokens: string[] }> {
  const { sequences, lens } = await inspection.look(text)
  const { model, root, calls, tree } = inspection
  const parts = Array.from(allParts(root))
  const called = (part: Part): Seen => calls.find(call => call.part === part.id)!.output!
  const given = (part: Part): Seen => calls.find(call => call.part === part.id)!.input!
  const norm = parts.find(({ className }) => className.endsWith('Norm'))!
  const feedForward = parts.find(({ className }) => className === 'Gpt2Mlp' || className === 'GatedFeedForward')!
  const inner = given(feedForward.children.find(({ name }) => name === 'c_proj' || name === 'down_proj')!)
  const own = Object.fromEntries(tree.modules[norm.id]!.ownParameters())
  const [weight, bias] = await Promise.all([own.weight!.data(), own.bias?.data()])
  const biases = [...model.namedParameters()].filter(([key]) => key.endsWith('bias'))
  const numTokens = sequences.source.length
  const side: Side = {
    architecture: model.architecture,
    norm: {
      path: norm.path,
      className: norm.className,
      before: moments(given(norm)),
      after: moments(called(norm), weight, bias),
    },
    inner: {
      path: feedForward.path,
      className: feedForward.className,
      size: inner.shape.at(-1)!,
      values: inner.values as Float32Array,
    },
    positions: await positionsOf(model, numTokens),
    heads: headsOf(model),
    biases: { tensors: biases.length, numbers: biases.reduce((sum, [, { size }]) => sum + size, 0) },
    numParameters: model.numParameters,
    next: lens.at(-1)!.at(-1)!,
  }
  return { side, tokens: sequences.source.map(({ token }) => token) }
}

async function positionsOf(model: InsideModel, numTokens: number): Promise<Side['positions']> {
  if (model instanceof Gpt2LMHeadModel) {
    const { weight, hiddenSize } = model.transformer.wpe
    return {
      width: hiddenSize,
      values: (await weight.data()).slice(0, numTokens * hiddenSize) as Float32Array,
      isLearned: true,
    }
  }
  const { cos, sin } = (model as LlamaForCausalLM).model.rotary.range(0, numTokens)
  const values = (await cos.data()).slice() as Float32Array
  cos.dispose()
  sin.dispose()
  return { width: values.length / numTokens, values, isLearned: false }
}

function headsOf(model: InsideModel): Side['heads'] {
  const { numHiddenLayers, hiddenSize, numAttentionHeads: query } = (model as Gpt2LMHeadModel | LlamaForCausalLM).config
  const keyValue = model instanceof LlamaForCausalLM ? model.config.numKeyValueHeads : query
  return { query, keyValue, cachePerToken: (2 * numHiddenLayers * hiddenSize * keyValue) / query }
}

/** Runs both models on a text; they read it with the same tokenizer. */
export async function compareNeighbours(
  { gpt2, llama }: { gpt2: InsideModel; llama: InsideModel },
  tokenizer: Tokenizer,
  text: string,
): Promise<Comparison> {
  const ours = await sideOf(new Inspection(gpt2, tokenizer), text)
  const theirs = await sideOf(new Inspection(llama, tokenizer), text)
  return { tokens: ours.tokens, gpt2: ours.side, llama: theirs.side }
}
