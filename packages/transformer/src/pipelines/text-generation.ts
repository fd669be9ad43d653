import type { ChatMessage, Encoding, Tokenizer } from '@heed/tokenizer'
import type { GenerateOptions } from '../generation/plan.ts'
import { invalidArgument } from '../invalid-argument.ts'
import type { CausalLm } from '../model.ts'
import { flag, generateOptions, type Rule, type Rules } from './options.ts'
import { batchOf, longestInput, type TextModel } from './text-batch.ts'

export interface TextGenerationOptions extends GenerateOptions {
  /** Whether the result begins with the prompt; true by default. */
  returnFullText?: boolean
}

export const textGenerationOptions: Rules<TextGenerationOptions> = { ...generateOptions, returnFullText: flag }

export interface GeneratedText {
  generatedText: string
}

/** A conversation with the assistant's answer at its end; the answer alone with `returnFullText: false`. */
export interface GeneratedChat {
  generatedText: ChatMessage[] | string
}

/** A text to go on with, or a conversation for the tokenizer's chat template. */
type Prompt = string | readonly ChatMessage[]

export const promptRule: Rule = {
  text: 'a text, or a list of messages with role and content',
  holds: value => typeof value === 'string' || isChat(value),
}

export function isChat(value: unknown): value is readonly ChatMessage[] {
  return Array.isArray(value) && value.length > 0 && value.every(message => typeof message?.role === 'string')
}

/**
 * Continuations of texts, and answers in conversations; one each, or `numReturnSequences`. A conversation that ends with the
 * assistant's message goes on with it. Throws HEED_ARGUMENT_INVALID when a prompt is longer than the model takes.
 */
export async function continueTexts(
  { model, tokenizer }: TextModel<CausalLm>,
  prompts: readonly Prompt[],
  { returnFullText = true, ...options }: TextGenerationOptions = {},
): Promise<(GeneratedText | GeneratedChat)[][]> {
  const encodings = prompts.map(prompt => encodePrompt(tokenizer, prompt))
  checkLengths({ model, tokenizer }, encodings)
  const { inputs } = batchOf({ model, tokenizer }, encodings, 'left')
  const rows = await model.generate(inputs.inputIds, {
    attentionMask: inputs.attentionMask,
    tokenizer,
    ...options,
    returnDictInGenerate: false,
  })
  const promptLength = (inputs.inputIds as number[][])[0]!.length
  const each = rows.length / prompts.length
  return prompts.map((prompt, i) =>
    rows.slice(i * each, (i + 1) * each).map(row => {
      const written = isAnswer(prompt)
        ? tokenizer.decode(row.slice(promptLength))
        : continuation(tokenizer, row, promptLength)
      return { generatedText: returnFullText ? withPrompt(prompt, written) : written }
    }),
  )
}

function encodePrompt(tokenizer: Tokenizer, prompt: Prompt): Encoding {
  const whole = { truncation: false, padding: false }
  if (typeof prompt === 'string') return tokenizer.encode(prompt, whole)
  const addGenerationPrompt = isAnswer(prompt)
  return tokenizer.applyChatTemplate(prompt, {
    ...whole,
    addGenerationPrompt,
    continueFinalMessage: !addGenerationPrompt,
  })
}

/** Whether what is written is a message of its own. */
function isAnswer(prompt: Prompt): boolean {
  return typeof prompt !== 'string' && prompt.at(-1)!.role !== 'assistant'
}

function checkLengths({ model, tokenizer }: TextModel, encodings: readonly Encoding[]): void {
  const limit = longestInput({ model, tokenizer })
  if (limit === undefined) return
  const tooLong = encodings.find(({ length }) => length > limit)
  if (!tooLong) return
  const rule = `at most the ${limit} that model and tokenizer take`
  throw invalidArgument('text-generation', 'the number of tokens of a prompt', tooLong.length, rule, 'Shorten it.')
}

/** Decoded with the prompt, so that the space before its first word is kept. */
function continuation(tokenizer: Tokenizer, row: readonly number[], promptLength: number): string {
  const whole = tokenizer.decode(row)
  const prompt = tokenizer.decode(row.slice(0, promptLength))
  return whole.startsWith(prompt) ? whole.slice(prompt.length) : tokenizer.decode(row.slice(promptLength))
}

function withPrompt(prompt: Prompt, written: string): string | ChatMessage[] {
  if (typeof prompt === 'string') return prompt + written
  if (isAnswer(prompt)) return [...prompt, { role: 'assistant', content: written }]
  const last = prompt.at(-1)!
  return [...prompt.slice(0, -1), { ...last, content: `${last.content}${written}` }]
}
