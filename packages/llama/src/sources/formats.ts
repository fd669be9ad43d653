import type { CheckpointFormat } from '@heed/transformer'
import { ggufFormat } from './gguf.ts'
import { llama2cFormat } from './llama2c.ts'
import { metaFormat } from './meta.ts'

/** The layouts of checkpoints beside HF's that the family comes in, for `registerCheckpointFormat`. */
export const llamaFormats: readonly CheckpointFormat[] = [ggufFormat, llama2cFormat, metaFormat]
