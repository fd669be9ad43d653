import type { Architecture } from '@heed/transformer'
import { LlamaForSequenceClassification } from './heads.ts'
import { LlamaForCausalLM, LlamaModel } from './llama.ts'
import { relatives } from './relatives-by-type.ts'

/** LLaMA and its relatives, without a head, as language models and as classifiers, for `registerArchitecture`. */
export const llamaArchitectures: Architecture[] = Object.entries(relatives).flatMap(
  ([modelType, relative]): Architecture[] => {
    const { prefix, textPrefix = prefix, config } = relative
    return [
      {
        architecture: `${textPrefix}Model`,
        modelType,
        task: 'base',
        load: (hf, source) => new LlamaModel(config.fromHf(hf, source), { relative }),
      },
      {
        architecture: `${prefix}ForCausalLM`,
        modelType,
        task: 'causal-lm',
        load: (hf, source) => new LlamaForCausalLM(config.fromHf(hf, source), { relative }),
      },
      {
        architecture: `${textPrefix}ForSequenceClassification`,
        modelType,
        task: 'sequence-classification',
        load: (hf, source) => new LlamaForSequenceClassification(config.fromHf(hf, source), { relative }),
      },
    ]
  },
)
