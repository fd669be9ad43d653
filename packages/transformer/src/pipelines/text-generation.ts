import type { GenerateOptions } from '../generation/plan.ts'
import type { CausalLm } from '../model.ts'
import { encodeTexts, type TextModel } from './text-batch.ts'

export interface TextGenerationOptions extends GenerateOptions {
  /** Whether the result begins with the prompt; true by default. */
  returnFullText?: boolean
}

export interface GeneratedText {
  generatedText: string
}

/** Continuations of texts; one a text, or `numReturnSequences`. */
export async function continueTexts(
  { model, tokenizer }: TextModel<CausalLm>,
  texts: readonly string[],
  { returnFullText = true, ...options }: TextGenerationOptions = {},
): Promise<GeneratedText[][]> {
  const { inputs } = encodeTexts({ model, tokenizer }, texts, { direction: 'left' })
  const rows = await model.generate(inputs.inputIds, { attentionMask: inputs.attentionMask, ...options })
  const promptLength = (inputs.inputIds as number[][])[0]!.length
  const each = rows.length / texts.length
  return texts.map((text, i) =>
    rows.slice(i * each, (i + 1) * each).map(row => {
      const whole = tokenizer.decode(row)
      const prompt = tokenizer.decode(row.slice(0, promptLength))
      const written = whole.startsWith(prompt) ? whole.slice(prompt.length) : tokenizer.decode(row.slice(promptLength))
      return { generatedText: returnFullText ? text + written : written }
    }),
  )
}
