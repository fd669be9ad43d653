import type { GenerateOptions } from '../generation/plan.ts'
import type { Seq2SeqLm } from '../seq2seq.ts'
import { encodeTexts, type TextModel } from './text-batch.ts'

/** What the model writes for each text. */
async function writeTexts(
  { model, tokenizer }: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  options: GenerateOptions,
): Promise<string[]> {
  const { inputs } = encodeTexts({ model, tokenizer }, texts)
  const rows = await model.generate(inputs.inputIds, { attentionMask: inputs.attentionMask, ...options })
  return rows.map(row => tokenizer.decode(row))
}

export interface TranslatedText {
  translationText: string
}

/** Translations; a model for several languages wants its prefix or language token in the text. */
export async function translateTexts(
  parts: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  options: GenerateOptions = {},
): Promise<TranslatedText[]> {
  return (await writeTexts(parts, texts, options)).map(translationText => ({ translationText }))
}

export interface SummarizedText {
  summaryText: string
}

export async function summarizeTexts(
  parts: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  options: GenerateOptions = {},
): Promise<SummarizedText[]> {
  return (await writeTexts(parts, texts, options)).map(summaryText => ({ summaryText }))
}
