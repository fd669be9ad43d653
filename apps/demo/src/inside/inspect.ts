/** A sentence through a model: everything the page shows of one pass. */
import { tf } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import { BertForMaskedLM, Gpt2LMHeadModel, type PretrainedModel, Transformer } from '@heed/transformer'
import { LlamaForCausalLM } from 'heed'
import { type Guess, likeliest, tokenName } from '../worker/guess.ts'
import { flowOf, type PartFlow } from './flow.ts'
import { type ModuleTree, moduleTree, type Part } from './module-tree.ts'
import { type Call, watchForward } from './watch.ts'

export type InsideModel = Transformer | BertForMaskedLM | Gpt2LMHeadModel | LlamaForCausalLM

export interface SequenceToken {
  id: number
  token: string
}

export type AttentionKind = 'self' | 'encoder' | 'decoder' | 'cross'

/** The attention weights of one stack of layers. */
export interface AttentionMaps {
  kind: AttentionKind
  /** Which sequence asks (rows) and which is looked at (columns). */
  rows: SequenceName
  columns: SequenceName
  numHeads: number
  /** For each layer [numHeads, rows, columns]. */
  layers: Float32Array[]
}

export type SequenceName = 'source' | 'target'

export interface CallSummary {
  part: number
  inputShape: number[] | undefined
  outputShape: number[] | undefined
  activation: string | undefined
}

export interface Pass {
  /** `target` is what an encoder-decoder wrote, with the token that begins it. */
  sequences: { source: SequenceToken[]; target?: SequenceToken[] }
  /** The sequence at whose places the model predicts. */
  predicts: SequenceName
  /** Of a decoder the next token, of BERT the token at the place itself. */
  predictsNext: boolean
  flows: ReadonlyMap<number, PartFlow>
  calls: CallSummary[]
  attention: AttentionMaps[]
  /** By layer (what goes into the first, then what each makes) and place: the likeliest tokens, were this the last layer. */
  lens: Guess[][][]
}

/** What the page can show of a sentence. */
const maxTokens = 48

/** A model that is open for looking into. */
export class Inspection {
  readonly tree: ModuleTree
  /** Of the last pass. */
  calls: Call[] = []

  constructor(
    readonly model: InsideModel,
    readonly tokenizer: Tokenizer,
  ) {
    this.tree = moduleTree(model, model.architecture)
  }

  get root(): Part {
    return this.tree.root
  }

  /** Runs the model on a text and keeps what its parts computed. Throws an Error where the text is too long. */
  async look(text: string): Promise<Pass> {
    const ids = [...this.tokenizer.encode(text).ids]
    const { model } = this
    const limit = model instanceof Transformer ? maxTokens : Math.min(maxTokens, model.config.maxPositionEmbeddings)
    if (ids.length > limit) {
      throw new Error(`The text has ${ids.length} tokens, expected at most ${limit}. Shorten it.`)
    }
    const target = model instanceof Transformer ? await written(model, ids) : undefined
    const { result, calls } = await watchForward(this.tree.modules, () => forward(model, ids, target))
    this.calls = calls
    const { attention, states } = result
    const maps: AttentionMaps[] = []
    for (const { weights, ...kind } of attention) {
      const layers = await Promise.all(weights.map(async layer => (await layer.data()).slice() as Float32Array))
      maps.push({ ...kind, numHeads: weights[0]!.shape[1]!, layers })
    }
    const lens: Guess[][][] = []
    for (const [i, state] of states.entries()) lens.push(await this.#guesses(state, i === states.length - 1))
    tf.dispose([...states, ...attention.flatMap(({ weights }) => weights)])
    const named = (of: readonly number[]): SequenceToken[] =>
      of.map(id => ({ id, token: tokenName(id, this.tokenizer) }))
    return {
      sequences: { source: named(ids), ...(target && { target: named(target) }) },
      predicts: target ? 'target' : 'source',
      predictsNext: !(model instanceof BertForMaskedLM),
      flows: flowOf(this.root, calls),
      calls: calls.map(({ part, input, output, activation }) => ({
        part,
        inputShape: input?.shape,
        outputShape: output?.shape,
        activation,
      })),
      attention: maps,
      lens,
    }
  }

  dispose(): void {
    this.model.dispose()
  }

  /** What the head would say of a state [1, seqLen, hiddenSize]: the likeliest tokens of each place. */
  async #guesses(state: tf.Tensor, isLast: boolean): Promise<Guess[][]> {
    const probabilities = tf.tidy(() => tf.softmax(headOf(this.model, state, isLast)))
    const [, seqLen, vocabSize] = probabilities.shape as [number, number, number]
    const values = await probabilities.data<'float32'>()
    probabilities.dispose()
    return Array.from({ length: seqLen }, (_, place) => {
      return likeliest(values.subarray(place * vocabSize, (place + 1) * vocabSize), this.tokenizer)
    })
  }
}

/** What a translator writes for a source, without the token that ends it. */
async function written(model: Transformer, ids: number[]): Promise<number[]> {
  const [target] = await model.generate([ids], { maxNewTokens: maxTokens - 1, numBeams: 1 })
  const { eosTokenId } = model.config
  return target!.filter((id, i) => i === 0 || !eosTokenId.includes(id))
}

type PassTensors = {
  attention: Array<Omit<AttentionMaps, 'layers' | 'numHeads'> & { weights: tf.Tensor[] }>
  /** The hidden states of the stack that the head reads. */
  states: tf.Tensor[]
}

/** One pass; its tensors belong to the caller. */
function forward(model: InsideModel, ids: readonly number[], target: readonly number[] | undefined): PassTensors {
  const asked = { inputIds: [[...ids]], outputHiddenStates: true, outputAttentions: true }
  return tf.tidy(() => {
    const kept = (output: PassTensors): PassTensors => {
      for (const tensor of [...output.states, ...output.attention.flatMap(({ weights }) => weights)]) tf.keep(tensor)
      return output
    }
    if (model instanceof Transformer) {
      const output = model.forward({ ...asked, decoderInputIds: [[...target!]] })
      return kept({
        states: output.decoderHiddenStates!,
        attention: [
          { kind: 'encoder', rows: 'source', columns: 'source', weights: output.encoderAttentions! },
          { kind: 'decoder', rows: 'target', columns: 'target', weights: output.decoderAttentions! },
          { kind: 'cross', rows: 'target', columns: 'source', weights: output.crossAttentions! },
        ],
      })
    }
    const { hiddenStates, attentions } = model.forward(asked)
    const attention = { kind: 'self', rows: 'source', columns: 'source', weights: attentions! } as const
    return kept({ states: hiddenStates!, attention: [attention] })
  })
}

/** The final norm, which the last state has had already, and the head. */
function headOf(model: InsideModel, state: tf.Tensor, isLast: boolean): tf.Tensor {
  if (model instanceof BertForMaskedLM) return model.head.forward(state)
  if (model instanceof LlamaForCausalLM) return model.lmHead.forward(isLast ? state : model.model.norm.forward(state))
  if (model instanceof Gpt2LMHeadModel)
    return model.lmHead.forward(isLast ? state : model.transformer.lnF.forward(state))
  return model.lmHead.forward(isLast ? state : (model.decoderNorm?.forward(state) ?? state))
}

/** Narrows what a loader gave to the models this page knows. */
export function isInsideModel(model: PretrainedModel): model is InsideModel {
  return [Transformer, BertForMaskedLM, Gpt2LMHeadModel, LlamaForCausalLM].some(known => model instanceof known)
}
