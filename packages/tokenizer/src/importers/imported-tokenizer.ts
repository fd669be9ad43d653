import type { TokenizerConfig } from '../tokenizer-config.ts'

/** What an importer makes of another format: `Tokenizer.fromJSON(tokenizer, config)` is the tokenizer. */
export interface ImportedTokenizer {
  /** The object of a tokenizer.json. */
  readonly tokenizer: Record<string, unknown>
  /** The object of a tokenizer_config.json: special tokens and, where the format has one, the chat template. */
  readonly config: TokenizerConfig
}

/** One row of `added_tokens`. */
export interface AddedTokenRow {
  readonly id: number
  readonly content: string
  readonly single_word: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
  readonly normalized: boolean
  readonly special: boolean
}

export function addedTokenRow(id: number, content: string, flags: Partial<AddedTokenRow> = {}): AddedTokenRow {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...flags }
}

export interface TokenWithId {
  readonly content: string
  readonly id: number
}

/** One part of a template and its type id: a token, or the text (`A`) or pair (`B`). */
export type TemplatePart = readonly [part: TokenWithId | 'A' | 'B', typeId: number]

/** The object of a TemplateProcessing. */
export function templateProcessing(
  single: readonly TemplatePart[],
  pair: readonly TemplatePart[],
): Record<string, unknown> {
  const special: Record<string, unknown> = {}
  const rows = (parts: readonly TemplatePart[]) =>
    parts.map(([part, type_id]) => {
      if (typeof part === 'string') return { Sequence: { id: part, type_id } }
      special[part.content] = { id: part.content, ids: [part.id], tokens: [part.content] }
      return { SpecialToken: { id: part.content, type_id } }
    })
  return { type: 'TemplateProcessing', single: rows(single), pair: rows(pair), special_tokens: special }
}

/**
 * A template that puts a token before or behind each text; null for neither. The pair has type id 1 if a token stands
 * before it, as with LLaMA, else 0, as with T5.
 */
export function surroundingTemplate(
  before: TokenWithId | undefined,
  behind: TokenWithId | undefined,
): Record<string, unknown> | null {
  if (!before && !behind) return null
  const around = (text: 'A' | 'B', typeId: number): TemplatePart[] =>
    [before, text, behind].flatMap(part => (part === undefined ? [] : [[part, typeId]]))
  return templateProcessing(around('A', 0), [...around('A', 0), ...around('B', before ? 1 : 0)])
}
