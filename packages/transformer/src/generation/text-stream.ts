import { HeedError, shown } from '@heed/tensor-backend'
import type { ChatMessage, Tokenizer } from '@heed/tokenizer'
import type { CausalLm } from '../model.ts'
import type { TextModel } from '../pipelines/text-batch.ts'
import type { Seq2SeqLm } from '../seq2seq.ts'
import { invalid } from './conflicts.ts'
import type { GenerateOptions } from './plan.ts'

/** A text, the ids of one, or a conversation for the tokenizer's chat template. */
export type Prompt = string | readonly number[] | readonly ChatMessage[]

/**
 * What a model writes, in pieces of whole characters, as it writes them: `for await (const piece of streamText(...))`. The prompt
 * is not repeated. Generation waits for the reader, and ends when the reader leaves the loop. Throws as `generate`.
 */
export async function* streamText(
  { model, tokenizer }: TextModel<CausalLm | Seq2SeqLm>,
  prompt: Prompt,
  options: Omit<GenerateOptions, 'streamer'> = {},
): AsyncGenerator<string, void, undefined> {
  const numReturnSequences = options.numReturnSequences ?? model.generationConfig.numReturnSequences ?? 1
  if (numReturnSequences > 1) {
    throw invalid(
      'numReturnSequences',
      numReturnSequences,
      '1 with streamText',
      'Stream one after another, or generate.',
    )
  }
  const ids = promptIds(tokenizer, prompt)
  const decoder = tokenizer.decodeStream()
  // What a decoder-only model writes goes on from the prompt, so that the space before its first word is kept.
  if (!('encode' in model)) for (const id of ids) decoder.push(id)
  const { readable, writable } = new TransformStream<string, string>()
  const writer = writable.getWriter()
  const streamer = {
    put: ([id]: readonly number[]) => writer.write(decoder.push(id!)),
    end: () => writer.write(decoder.end()),
  }
  const finished = model.generate([ids], { tokenizer, ...options, streamer }).then(
    () => writer.close(),
    error => writer.abort(error),
  )
  const reader = readable.getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (next.value !== '') yield next.value
    }
  } finally {
    await reader.cancel().catch(() => {}) // a reader who leaves: the next write fails, and with it the generation
    await finished.catch(() => {}) // its error was thrown above
  }
}

function promptIds(tokenizer: Tokenizer, prompt: Prompt): number[] {
  if (typeof prompt !== 'string' && !Array.isArray(prompt)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `streamText: prompt is ${shown(prompt)}, expected a text, a list of ids or a list of messages.`,
    )
  }
  if (typeof prompt === 'string') return [...tokenizer.encode(prompt).ids]
  if (typeof prompt[0] !== 'object') return [...(prompt as readonly number[])]
  return [...tokenizer.applyChatTemplate(prompt as readonly ChatMessage[], { addGenerationPrompt: true }).ids]
}
