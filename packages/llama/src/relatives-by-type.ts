import { gemma, gemma2, gemma3 } from './gemma.ts'
import { llama } from './llama.ts'
import { mixtral, qwen2Moe, qwen3Moe } from './mixtral.ts'
import { olmo2 } from './olmo2.ts'
import type { Relative } from './parts.ts'
import { phi3 } from './phi3.ts'
import { mistral, qwen2, qwen3, smolLm3 } from './relatives.ts'

/** LLaMA and its relatives by HF's `model_type`. */
export const relatives: Readonly<Record<string, Relative>> = {
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma,
  gemma2,
  gemma3_text: gemma3,
  phi3,
  smollm3: smolLm3,
  olmo2,
  mixtral,
  qwen2_moe: qwen2Moe,
  qwen3_moe: qwen3Moe,
}
