import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'
import { ignoreIndex } from './batch.ts'
import type { TokenExample } from './packed-tokens.ts'

export interface ChatMessage {
  role: string
  content: string
}

/** What chats need of a tokenizer; `Tokenizer` of `@heed/tokenizer` has it. */
export interface ChatTokenizer {
  applyChatTemplate(messages: ChatMessage[], options: { tokenize: false; addGenerationPrompt: boolean }): string
  /** `offsets` are UTF-16 positions of each token in the text. */
  encode(text: string, options: { addSpecialTokens: false }): { ids: number[]; offsets: readonly (readonly number[])[] }
}

/**
 * A conversation as one example in which only the assistant's turns are learned, with what ends them: a token has a label
 * when it begins inside one. Throws HEED_ARGUMENT_INVALID when there is no such turn, HEED_CONFIG_INVALID when the template
 * writes earlier turns differently once later ones follow.
 */
export function chatExample(tokenizer: ChatTokenizer, messages: ChatMessage[]): TokenExample {
  const render = (count: number, addGenerationPrompt: boolean): string =>
    tokenizer.applyChatTemplate(messages.slice(0, count), { tokenize: false, addGenerationPrompt })
  const text = render(messages.length, false)
  const turns: Array<[start: number, end: number]> = []
  for (const [i, { role }] of messages.entries()) {
    if (role !== 'assistant') continue
    const [prompt, whole] = [render(i, true), render(i + 1, false)]
    if (!whole.startsWith(prompt) || !text.startsWith(whole)) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `chatExample: message ${i} is rendered as ${show(whole)}, expected the beginning of the whole conversation. ` +
          'The chat template changes earlier turns: train on one turn an example.',
      )
    }
    turns.push([prompt.length, whole.length])
  }
  if (turns.length === 0) {
    const roles = messages.map(message => message.role).join(', ')
    throw new HeedError('HEED_ARGUMENT_INVALID', `chatExample: roles are [${roles}], expected at least one assistant.`)
  }
  const { ids, offsets } = tokenizer.encode(text, { addSpecialTokens: false })
  const isLearned = (start: number): boolean => turns.some(([from, to]) => start >= from && start < to)
  return { inputIds: ids, labels: ids.map((id, i) => (isLearned(offsets[i]![0]!) ? id : ignoreIndex)) }
}
