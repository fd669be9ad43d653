import { HeedError } from '@heed/tensor-backend'
import type { HfConfig } from './hf-json.ts'
import type { PretrainedModel } from './model.ts'

/** What a model is for: the `...` of `AutoModelFor...`, `base` for `AutoModel`. */
export type Task =
  | 'base'
  | 'causal-lm'
  | 'masked-lm'
  | 'seq2seq-lm'
  | 'pre-training'
  | 'sequence-classification'
  | 'token-classification'
  | 'question-answering'

/** How one class of HF's is made here. */
export interface Architecture<M extends PretrainedModel = PretrainedModel> {
  /** HF's class, as in `architectures` of config.json: `LlamaForCausalLM`. */
  architecture: string
  /** `model_type` of config.json: `llama`. */
  modelType: string
  task: Task
  /** A model for a config.json, whose parameters are still to be filled; `source` is its path, for messages. */
  load(config: HfConfig, source: string): M
}

const architectures = new Map<string, Architecture>()

/** Makes an architecture known to the Auto classes; one registered before under the same name is replaced. */
export function registerArchitecture(...entries: Architecture[]): void {
  for (const entry of entries) architectures.set(entry.architecture, entry)
}

/** The names of all registered architectures. */
export function registeredArchitectures(): string[] {
  return [...architectures.keys()]
}

/**
 * The architecture for a config.json and a task: the class it names, when that is of the task, else the one for its
 * `model_type`, as in HF. Throws HEED_CONFIG_INVALID.
 */
export function findArchitecture(config: HfConfig, task: Task, source: string): Architecture {
  const named = Array.isArray(config.architectures) ? architectures.get(String(config.architectures[0])) : undefined
  if (named?.task === task) return named
  const entries = [...architectures.values()].filter(entry => entry.task === task)
  const byType = entries.find(({ modelType }) => modelType === config.model_type)
  if (byType) return byType
  const known = entries.map(({ modelType }) => modelType)
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${source}: model_type is ${JSON.stringify(config.model_type)}, expected one with a registered ${task} architecture: ` +
      `${known.join(', ') || 'none is registered'}. Register yours with registerArchitecture.`,
  )
}
