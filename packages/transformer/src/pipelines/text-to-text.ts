import type { GenerateOptions } from '../generation/plan.ts'
import type { Seq2SeqLm } from '../seq2seq.ts'
import { encodeTexts, type TextModel } from './text-batch.ts'

/** What the model writes for each text; one a text, or `numReturnSequences`. */
async function writeTexts(
  { model, tokenizer }: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  options: GenerateOptions,
): Promise<string[][]> {
  const { inputs } = encodeTexts({ model, tokenizer }, texts)
  const rows = await model.generate(inputs.inputIds, {
    attentionMask: inputs.attentionMask,
    tokenizer,
    ...options,
    returnDictInGenerate: false,
  })
  const each = rows.length / texts.length
  return texts.map((_, i) => rows.slice(i * each, (i + 1) * each).map(row => tokenizer.decode(row)))
}

export interface TranslatedText {
  translationText: string
}

/** Translations; a model for several languages wants its prefix or language token in the text. */
export async function translateTexts(
  parts: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  options: GenerateOptions = {},
): Promise<TranslatedText[][]> {
  const written = await writeTexts(parts, texts, options)
  return written.map(list => list.map(translationText => ({ translationText })))
}

export interface SummarizedText {
  summaryText: string
}

export async function summarizeTexts(
  parts: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  options: GenerateOptions = {},
): Promise<SummarizedText[][]> {
  const written = await writeTexts(parts, texts, options)
  return written.map(list => list.map(summaryText => ({ summaryText })))
}
