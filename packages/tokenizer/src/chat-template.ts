import { HeedError, invalidArgument } from './errors.ts'
import { ChatTemplate } from './jinja/template.ts'
import { chatTemplatesOf, specialTokenOf, type TokenizerConfig } from './tokenizer-config.ts'

/** One turn of a conversation; templates may read other keys, such as `tool_calls`. */
export interface ChatMessage {
  readonly role: string
  /** The text, or parts as multimodal templates take them. */
  readonly content?: string | readonly Readonly<Record<string, unknown>>[] | null
  readonly [key: string]: unknown
}

export interface ChatTemplateOptions {
  /** A Jinja template, or the name of one where the config has several. Default: the config's, `tool_use` for tools. */
  readonly chatTemplate?: string
  /** JSON schemas of the functions that the model may call. */
  readonly tools?: readonly Readonly<Record<string, unknown>>[] | null
  /** Texts to answer from, each with `title` and `text`. */
  readonly documents?: readonly Readonly<Record<string, unknown>>[] | null
  /** Whether the text ends with the beginning of the assistant's answer. Default false. */
  readonly addGenerationPrompt?: boolean
  /** Whether the text ends inside the last message, for the model to go on with it. Default false. */
  readonly continueFinalMessage?: boolean
  /** More variables for the template, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>
}

export interface RenderedChat {
  readonly text: string
  /** `[start, end)` of what stands between `{% generation %}` and `{% endgeneration %}`, in UTF-16 units. */
  readonly assistantSpans: readonly (readonly [start: number, end: number])[]
}

/**
 * The text of a conversation, same as `apply_chat_template(tokenize=False)` of transformers.
 * Throws HEED_ARGUMENT_INVALID if there is no such template or it refuses the messages, HEED_CONFIG_INVALID if it is broken.
 */
export function renderChat(
  messages: readonly ChatMessage[],
  config: TokenizerConfig,
  options: ChatTemplateOptions = {},
): RenderedChat {
  const isMessage = (message: unknown) => typeof message === 'object' && message !== null
  if (!(Array.isArray(messages) && messages.length > 0 && (messages as unknown[]).every(isMessage))) {
    throw invalidArgument(
      'applyChatTemplate: messages',
      messages,
      'a list of at least one message',
      'Pass [{ role, content }].',
    )
  }
  const { tools = null, documents = null, addGenerationPrompt = false, continueFinalMessage = false } = options
  const source = chooseTemplate(config, options)
  const [open, close] = unusedMarks(source + JSON.stringify([messages, tools, documents, options.variables]))
  const template = parse(
    source.replace(/{%(-?)\s*(end)?generation\s*(-?)%}/g, (_, before, end, behind) => {
      return `{%${before} if true %}${end ? close : open}{% endif ${behind}%}`
    }),
  )
  const variables = {
    ...specialTokens(config),
    tools,
    documents,
    add_generation_prompt: addGenerationPrompt,
    ...options.variables,
    messages: continueFinalMessage ? withEndMark(messages) : messages,
  }
  const text = render(template, variables)
  return takeMarks(continueFinalMessage ? upToEndMark(text) : text, open, close)
}

function chooseTemplate(config: TokenizerConfig, { chatTemplate, tools }: ChatTemplateOptions): string {
  const named = chatTemplatesOf(config)
  const find = (name: string) => named.get(name)
  const chosen =
    chatTemplate === undefined
      ? ((tools ? find('tool_use') : undefined) ?? find('default'))
      : (find(chatTemplate) ?? chatTemplate)
  if (chosen !== undefined) return chosen
  const names = [...named.keys()].map(name => JSON.stringify(name)).join(', ')
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `applyChatTemplate: chat_template of the config is ${names ? `one of ${names}` : 'missing'}, expected a default one. ` +
      `Pass chatTemplate: ${names ? 'one of these names' : 'the text of a Jinja template'}.`,
  )
}

/** Two noncharacters that neither template nor messages contain, to mark where the assistant speaks. */
function unusedMarks(text: string): readonly [string, string] {
  const unused: string[] = []
  for (let code = 0xfdd0; code <= 0xfdef && unused.length < 2; code++) {
    const mark = String.fromCharCode(code)
    if (!text.includes(mark)) unused.push(mark)
  }
  const [open = '', close = ''] = unused
  return [open, close]
}

function parse(source: string): ChatTemplate {
  try {
    return new ChatTemplate(source)
  } catch (cause) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `chat_template: it is not a Jinja template: ${reasonOf(cause)}. Correct the template.`,
      { cause },
    )
  }
}

function render(template: ChatTemplate, variables: Record<string, unknown>): string {
  try {
    return template.render(variables)
  } catch (cause) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `applyChatTemplate: the template refuses the messages: ${reasonOf(cause)}. Pass messages as it expects them.`,
      { cause },
    )
  }
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '')
}

function specialTokens(config: TokenizerConfig): Record<string, string> {
  const names = Object.keys(config).filter(name => name.endsWith('_token'))
  return Object.fromEntries(
    names.flatMap(name => {
      const token = specialTokenOf(config, name)
      return token === undefined ? [] : [[name, token]]
    }),
  )
}

/** Stands behind the last message's text; a template that trims messages takes the space away. */
const END_MARK = 'CONTINUE_FINAL_MESSAGE '

function withEndMark(messages: readonly ChatMessage[]): ChatMessage[] {
  const last = messages.at(-1)!
  return [...messages.slice(0, -1), { ...last, content: markedContent(last.content) }]
}

function markedContent(content: ChatMessage['content']): NonNullable<ChatMessage['content']> {
  if (typeof content === 'string') return content + END_MARK
  const parts = [...(content ?? [])]
  const at = parts.findLastIndex(part => typeof part.text === 'string')
  if (at >= 0) {
    parts[at] = { ...parts[at], text: `${String(parts[at]!.text)}${END_MARK}` }
    return parts
  }
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `applyChatTemplate: content of the last message is ${JSON.stringify(content)}, expected a text to continue. ` +
      'Pass one, or leave out continueFinalMessage.',
  )
}

function upToEndMark(text: string): string {
  const at = text.lastIndexOf(END_MARK.trimEnd())
  if (at < 0) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      'applyChatTemplate: the template leaves out the last message, expected it in the text. Leave out continueFinalMessage.',
    )
  }
  return text.startsWith(END_MARK, at) ? text.slice(0, at) : text.slice(0, at).trimEnd()
}

function takeMarks(marked: string, open: string, close: string): RenderedChat {
  let text = ''
  const assistantSpans: [number, number][] = []
  let start = -1
  let from = 0
  for (let i = 0; i <= marked.length; i++) {
    const unit = marked[i]
    if (unit !== undefined && unit !== open && unit !== close) continue
    text += marked.slice(from, i)
    from = i + 1
    if (unit === open) start = text.length
    else if (start >= 0) {
      assistantSpans.push([start, text.length])
      start = -1
    }
  }
  return { text, assistantSpans }
}
