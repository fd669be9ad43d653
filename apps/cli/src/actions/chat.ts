import { writeFile } from 'node:fs/promises'
import { createInterface, type Interface } from 'node:readline'
import { init } from '@heed/tensor-backend'
import type { ChatMessage, Tokenizer } from '@heed/tokenizer'
import { type CausalLm, PromptCache, streamText } from '@heed/transformer'
import { AutoModelForCausalLM, isHeedError, loadTokenizer, resolveModel } from 'heed'
import { type ChatOptions, help } from '../commands/chat.ts'
import { dim } from '../terminal/style.ts'

/** Talks with the user until they leave. Throws as `loadTokenizer`, `AutoModelForCausalLM.fromPretrained` and `streamText`. */
export async function chat(source: string, { dtype, ...options }: ChatOptions): Promise<void> {
  await init()
  const path = await resolveModel(source)
  const tokenizer = await loadTokenizer(path)
  const model = await AutoModelForCausalLM.fromPretrained(path, dtype === undefined ? {} : { dtype })
  const conversation = new Chat(model, tokenizer, options)
  await conversation.run()
  conversation.dispose()
  model.dispose()
}

/** The lines of a message that goes on; `isQuoted` from one """ to the other. */
interface Draft {
  lines: string[]
  isBegun: boolean
  isQuoted: boolean
}

const newDraft = (): Draft => ({ lines: [], isBegun: false, isQuoted: false })

class Chat {
  readonly #cache: PromptCache
  readonly #isTerminal = process.stdin.isTTY === true
  readonly #reader: Interface
  readonly #lines: AsyncIterableIterator<string>
  /** A model without a template continues what was said, as one text. */
  readonly #hasTemplate: boolean
  #messages: ChatMessage[] = []
  #turn = 0
  #answering: AbortController | undefined
  #draft = newDraft()
  /** Said after the answer in which it came, and not again. */
  #warning: string | undefined
  #isWarned = false

  constructor(
    readonly model: CausalLm,
    readonly tokenizer: Tokenizer,
    readonly options: Omit<ChatOptions, 'dtype'>,
  ) {
    this.#cache = new PromptCache(model, { cacheDtype: options.cacheDtype })
    this.#hasTemplate = tokenizer.chatTemplates.size > 0
    this.#reader = createInterface({ input: process.stdin, output: process.stdout, terminal: this.#isTerminal })
    this.#lines = this.#reader[Symbol.asyncIterator]() as AsyncIterableIterator<string>
    this.#reader.on('SIGINT', () => this.#interrupt())
    if (!this.#isTerminal) process.on('SIGINT', this.#interrupt)
    this.#begin(options.system)
  }

  dispose(): void {
    process.off('SIGINT', this.#interrupt)
    this.#reader.close()
    this.#cache.dispose()
  }

  /** Asks and answers until the user leaves. */
  async run(): Promise<void> {
    if (!this.#hasTemplate) this.#note('The tokenizer has no chat template: what you write is continued as one text.')
    this.#note('/help lists commands.')
    for (let text = await this.#read(); text !== undefined; text = await this.#read()) {
      if (text.trim() === '') continue
      if (text.startsWith('/')) {
        if (!(await this.#command(text.trim()))) break
        continue
      }
      await this.#ask(text)
    }
  }

  /** Ctrl-C stops the answer; where there is none, it drops what is being written. */
  #interrupt = (): void => {
    if (this.#answering) this.#answering.abort()
    else if (this.#isTerminal) {
      this.#reader.write(null, { ctrl: true, name: 'u' })
      process.stdout.write(`\n${dim('Ctrl-D or /exit leaves.')}\n`)
      this.#draft = newDraft()
      this.#reader.setPrompt('> ')
      this.#reader.prompt()
    } else process.exit(130)
  }

  #note(text: string): void {
    if (this.#isTerminal) process.stdout.write(`${dim(text)}\n`)
  }

  #begin(system: string | undefined): void {
    this.#messages = system === undefined ? [] : [{ role: 'system', content: system }]
  }

  /** What the user says, of one line or several; undefined at the end of the input. */
  async #read(): Promise<string | undefined> {
    this.#draft = newDraft()
    for (;;) {
      const line = await this.#line(this.#draft.isBegun ? '  ' : '> ')
      const { lines, isBegun, isQuoted } = this.#draft // Ctrl-C may have begun another one
      if (line === undefined) return isBegun ? lines.join('\n') : undefined
      const isQuote = line.trim() === '"""'
      if (isQuoted && isQuote) return lines.join('\n')
      if (isQuoted) lines.push(line)
      else if (!isBegun && isQuote) this.#draft = { lines, isBegun: true, isQuoted: true }
      else if (line.endsWith('\\')) this.#draft = { lines: [...lines, line.slice(0, -1)], isBegun: true, isQuoted }
      else return [...lines, line].join('\n')
    }
  }

  async #line(prompt: string): Promise<string | undefined> {
    if (this.#isTerminal) {
      this.#reader.setPrompt(prompt)
      this.#reader.prompt()
    }
    const { value, done } = await this.#lines.next()
    return done === true ? undefined : value
  }

  /** Whether the conversation goes on. */
  async #command(text: string): Promise<boolean> {
    const [name, ...words] = text.split(/\s+/)
    const rest = words.join(' ')
    switch (name) {
      case '/exit':
      case '/quit':
        return false
      case '/help':
        console.log(help)
        break
      case '/clear':
        this.#begin(this.options.system)
        break
      case '/system':
        this.#begin(rest)
        break
      case '/undo':
        this.#undo()
        break
      case '/retry': {
        const last = this.#undo()
        if (last !== undefined) await this.#ask(last)
        break
      }
      case '/save':
        await this.#save(rest)
        break
      default:
        console.log(`There is no ${name}; /help lists commands.`)
    }
    return true
  }

  /** Takes back the last answer and the question, which it gives. */
  #undo(): string | undefined {
    const at = this.#messages.findLastIndex(({ role }) => role === 'user')
    if (at < 0) return undefined
    const [question] = this.#messages.splice(at)
    return String(question!.content)
  }

  async #save(path: string): Promise<void> {
    if (path === '') return console.log('Give a file: /save conversation.json')
    try {
      await writeFile(path, `${JSON.stringify(this.#messages, null, 2)}\n`)
      console.log(`Saved to ${path}.`)
    } catch (error) {
      console.log(`${path}: ${error instanceof Error ? error.message : error}`)
    }
  }

  get #contextLength(): number {
    return (this.model.config as { maxPositionEmbeddings?: number }).maxPositionEmbeddings ?? Infinity
  }

  /** What was said, with its length in tokens; the oldest is left out where it takes more than half of the context. */
  #prompt(): { prompt: ChatMessage[] | string; length: number } {
    const system = this.#messages.filter(({ role }) => role === 'system')
    const said = this.#messages.slice(system.length)
    for (;;) {
      const messages = [...system, ...said]
      const text = messages.map(({ content }) => String(content)).join('')
      const { ids } = this.#hasTemplate
        ? this.tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })
        : this.tokenizer.encode(text)
      if (ids.length <= this.#contextLength / 2 || said.length === 1) {
        return { prompt: this.#hasTemplate ? messages : text, length: ids.length }
      }
      said.shift()
      while (this.#hasTemplate && said[0]!.role !== 'user') said.shift() // templates begin with a question
    }
  }

  async #ask(text: string): Promise<void> {
    this.#messages.push({ role: 'user', content: text })
    const { temperature, topP, seed } = this.options
    this.#turn += 1
    this.#answering = new AbortController()
    const { prompt, length } = this.#prompt()
    const maxNewTokens = Math.max(1, Math.min(this.options.maxNewTokens, this.#contextLength - length))
    let answer = ''
    try {
      const pieces = streamText({ model: this.model, tokenizer: this.tokenizer }, prompt, {
        maxNewTokens,
        ...(temperature === 0 ? { doSample: false } : { doSample: true, temperature, topP }),
        seed: seed + this.#turn,
        promptCache: this.#cache,
        signal: this.#answering.signal,
        onWarning: message => {
          this.#warning = message
        },
      })
      for await (const piece of pieces) {
        answer += piece
        process.stdout.write(piece)
      }
    } catch (error) {
      if (!(isHeedError(error) && error.code === 'HEED_ABORTED')) {
        this.#messages.pop()
        throw error
      }
      process.stdout.write(dim(' [stopped]'))
    } finally {
      this.#answering = undefined
      process.stdout.write('\n')
    }
    this.#messages.push({ role: 'assistant', content: answer })
    if (this.#warning !== undefined && !this.#isWarned) {
      this.#isWarned = true
      console.warn(dim(this.#warning))
    }
  }
}
