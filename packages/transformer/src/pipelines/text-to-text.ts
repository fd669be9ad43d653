import type { Encoding } from '@heed/tokenizer'
import type { GenerateOptions } from '../generation/plan.ts'
import { invalidArgument } from '../invalid-argument.ts'
import type { Seq2SeqLm } from '../seq2seq.ts'
import { flag, generateOptions, type Rules } from './options.ts'
import { batchOf, encodeTexts, longestInput, positionsOf, type TextModel } from './text-batch.ts'

export interface TextToTextOptions extends GenerateOptions {
  /** Cuts texts that are longer than model and tokenizer take; false by default, as in HF. */
  truncation?: boolean | undefined
}

export const textToTextOptions: Rules<TextToTextOptions> = { ...generateOptions, truncation: flag }

/** What the model writes for each text; one a text, or `numReturnSequences`. */
async function writeTexts(
  task: string,
  parts: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  { truncation = false, ...options }: TextToTextOptions,
): Promise<string[][]> {
  const { model, tokenizer } = parts
  const { inputs } = truncation ? encodeTexts(parts, texts) : batchOf(parts, wholeTexts(task, parts, texts, options))
  const rows = await model.generate(inputs.inputIds, {
    attentionMask: inputs.attentionMask,
    tokenizer,
    ...options,
    returnDictInGenerate: false,
  })
  const each = rows.length / texts.length
  return texts.map((_, i) => rows.slice(i * each, (i + 1) * each).map(row => tokenizer.decode(row)))
}

/** Texts uncut: one that the model has no positions for is refused, one longer than the tokenizer says it should be warned of. */
function wholeTexts(
  task: string,
  parts: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  { onWarning = console.warn }: GenerateOptions,
): Encoding[] {
  const encodings = parts.tokenizer.encodeBatch(texts, { truncation: false, padding: false })
  const longest = Math.max(...encodings.map(({ length }) => length))
  const [positions, named] = [positionsOf(parts) ?? Infinity, longestInput(parts) ?? Infinity]
  if (longest > positions) {
    const rule = `at most the ${named} that model and tokenizer take`
    const mend = 'Shorten it, or set truncation: true to leave out its end.'
    throw invalidArgument(task, 'the number of tokens of a text', longest, rule, mend)
  }
  if (longest > named) {
    onWarning(
      `${task}: a text has ${longest} tokens, but the tokenizer names ${named} as the most (model_max_length), so that what the ` +
        'model writes may make no sense. Shorten it, or set truncation: true to leave out its end.',
    )
  }
  return encodings
}

export interface TranslatedText {
  translationText: string
}

/** Translations; a model for several languages wants its prefix or language token in the text. */
export async function translateTexts(
  parts: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  options: TextToTextOptions = {},
): Promise<TranslatedText[][]> {
  const written = await writeTexts('translation', parts, texts, options)
  return written.map(list => list.map(translationText => ({ translationText })))
}

export interface SummarizedText {
  summaryText: string
}

export async function summarizeTexts(
  parts: TextModel<Seq2SeqLm>,
  texts: readonly string[],
  options: TextToTextOptions = {},
): Promise<SummarizedText[][]> {
  const written = await writeTexts('summarization', parts, texts, options)
  return written.map(list => list.map(summaryText => ({ summaryText })))
}
