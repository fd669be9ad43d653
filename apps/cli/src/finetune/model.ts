import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { HeedError } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import { freezeLayers, LoraModel, type TrainableModel } from '@heed/trainer'
import { openPretrained } from '@heed/transformer'
import { AutoModelForCausalLM, AutoModelForSequenceClassification, type LoadOptions, type PretrainedModel } from 'heed'
import type { FinetuneRecipe } from './recipe.ts'

/** A model of a task, without adapters. */
export type BaseModel = PretrainedModel & TrainableModel

/** What the recipe's model was saved with. */
export interface BaseConfig {
  /** The most tokens it was trained on, where it says. */
  contextLength: number | undefined
  /** Of a classifier, in the order of their numbers. */
  labels: string[]
  padTokenId: number | undefined
}

/** Reads config.json of the recipe's model, or the head of its GGUF file. Throws as `openPretrained`. */
export async function readBaseConfig(model: string): Promise<BaseConfig> {
  const { config } = await openPretrained(model)
  const { max_position_embeddings, n_positions, pad_token_id, id2label } = config
  const contextLength = max_position_embeddings ?? n_positions
  return {
    contextLength: typeof contextLength === 'number' ? contextLength : undefined,
    padTokenId: typeof pad_token_id === 'number' ? pad_token_id : undefined,
    labels: Object.entries((id2label ?? {}) as Record<string, string>)
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, label]) => label),
  }
}

/** What fills up short rows: attention passes it by, so that any token will do. */
export function padTokenIdOf(config: BaseConfig, tokenizer: Tokenizer): number {
  return config.padTokenId ?? tokenizer.specialTokenId('pad_token') ?? tokenizer.specialTokenId('eos_token') ?? 0
}

/** How the head of a classifier is made. */
export interface ClassifierHead {
  labels: readonly string[]
  padTokenId: number
}

/** The model that a recipe begins with; with adapters it may be in few bits. Throws as `fromPretrained`. */
export function loadBase(
  { model, lora, quantize }: Pick<FinetuneRecipe, 'model' | 'lora' | 'quantize'>,
  head: ClassifierHead | undefined,
): Promise<BaseModel> {
  const dtype: LoadOptions = quantize ? { dtype: quantize } : lora ? {} : { dtype: 'float32' }
  if (!head) return AutoModelForCausalLM.fromPretrained(model, dtype) as Promise<PretrainedModel> as Promise<BaseModel>
  const { labels, padTokenId } = head
  return AutoModelForSequenceClassification.fromPretrained(model, {
    ...dtype,
    config: {
      id2label: Object.fromEntries(labels.entries()),
      label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
      pad_token_id: padTokenId,
    },
    onWarning: () => {}, // a head that begins at random is what is to be trained
  }) as Promise<PretrainedModel> as Promise<BaseModel>
}

/** Prepares a model for what the recipe trains: all of it, what is not frozen, or adapters. Throws HEED_CONFIG_INVALID. */
export function adapt(base: BaseModel, recipe: FinetuneRecipe): BaseModel | LoraModel<BaseModel> {
  const { lora, freezeLayers: numFrozen = 0, task, model } = recipe
  if (numFrozen > 0) freezeLayers(base, numFrozen)
  if (!lora) return base
  return new LoraModel(base, {
    ...lora,
    targetModules: lora.targetModules ?? attentionTargets(base),
    modulesToSave: task === 'classification' ? headModules(base) : [],
    taskType: task === 'classification' ? 'SEQ_CLS' : 'CAUSAL_LM',
    baseModelNameOrPath: existsSync(model) ? resolve(model) : model, // found from wherever the adapter is used
  })
}

/** The names of the query and value projections of architectures, as PEFT chooses them. */
const usualTargets = [['q_proj', 'v_proj'], ['c_attn'], ['qkv_proj'], ['query', 'value'], ['q_lin', 'v_lin']]

function attentionTargets(base: BaseModel): string[] {
  const names = new Set(Array.from(base.namedModules(), ([path]) => path.slice(path.lastIndexOf('.') + 1)))
  const targets = usualTargets.find(choice => choice.every(name => names.has(name)))
  if (targets) return targets
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    'heed finetune: --target-modules is missing, expected names of linear layers, since those of this model are not known. ' +
      'heed inspect lists its weights.',
  )
}

/** The outermost modules that belong to the head alone: it may have begun at random, so that it learns whole. */
function headModules(base: BaseModel): string[] {
  const keys = Array.from(base.namedParameters(), ([key]) => key)
  const isOfHead = (path: string): boolean => {
    const inside = keys.filter(key => key.startsWith(`${path}.`))
    return inside.length > 0 && inside.every(key => base.isHeadKey(key))
  }
  const paths = Array.from(base.namedModules(), ([path]) => path).filter(path => path !== '' && isOfHead(path))
  const outermost = paths.filter(path => !paths.some(other => path.startsWith(`${other}.`)))
  return outermost
}

/** Trained parameters and all of them. */
export interface ParameterCounts {
  numParameters: number
  numTrainable: number
  /** Of the weights, those in few bits included, and of the gradients. */
  weightBytes: number
}

/** Counts the parameters of a base and its adapters. */
export function countParameters(base: BaseModel, trained: BaseModel | LoraModel<BaseModel>): ParameterCounts {
  const sizes = (parameters: Iterable<{ size: number }>): number =>
    [...parameters].reduce((sum, { size }) => sum + size, 0)
  const own = new Set(base.parameters())
  const added = trained.parameters().filter(parameter => !own.has(parameter))
  const numTrainable = sizes(trained.parameters().filter(({ trainable }) => trainable))
  const inFewBits = new Set(Array.from(base.quantizedWeights(), ([, weight]) => weight))
  const bytesInFewBits = [...inFewBits].reduce((sum, { data }) => sum + data.size * (data.dtype === 'bool' ? 1 : 4), 0)
  return {
    numParameters: base.numParameters + sizes(added),
    numTrainable,
    weightBytes: 4 * (sizes(own) + sizes(added) + numTrainable) + bytesInFewBits,
  }
}
