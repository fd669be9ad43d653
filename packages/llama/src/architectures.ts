import type { Architecture } from '@heed/transformer'
import { classPrefixes, llamaConfig } from './config.ts'
import { LlamaForCausalLM, LlamaModel } from './llama.ts'

/** LLaMA and the relatives that are configurations of it, for `registerArchitecture`. */
export const llamaArchitectures: Architecture[] = Object.entries(classPrefixes).flatMap(
  ([modelType, prefix]): Architecture[] => [
    {
      architecture: `${prefix}Model`,
      modelType,
      task: 'base',
      load: (config, source) => new LlamaModel(llamaConfig.fromHf(config, source)),
    },
    {
      architecture: `${prefix}ForCausalLM`,
      modelType,
      task: 'causal-lm',
      load: (config, source) => new LlamaForCausalLM(llamaConfig.fromHf(config, source)),
    },
  ],
)
