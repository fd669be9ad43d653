import { type AddedToken, AddedTokens, type Normalize } from './added-tokens.ts'
import { type ChatMessage, type ChatTemplateOptions, renderChat } from './chat-template.ts'
import { withConfig } from './config-parts.ts'
import { DecodeStream } from './decode-stream.ts'
import type { Decoder } from './decoders/decoder.ts'
import { closeUpEnglish } from './decoders/english-spacing.ts'
import { Encoding, type PadToken } from './encoding.ts'
import { changeColumns, type EncodingColumns } from './encoding-columns.ts'
import { checkOptions, HeedError, invalidArgument, shown } from './errors.ts'
import { BpeModel } from './models/bpe.ts'
import type { Model } from './models/model.ts'
import type { Normalizer } from './normalizers/normalizer.ts'
import { PieceEncoder } from './piece-encoder.ts'
import type { PostProcessor } from './post-processors/post-processor.ts'
import type { PreTokenizedText } from './pre-tokenized-text.ts'
import type { PreTokenizer } from './pre-tokenizers/pre-tokenizer.ts'
import { chatTemplatesOf, sideOf, specialTokenOf, type TokenizerConfig } from './tokenizer-config.ts'
import { loadTokenizerFile, loadTokenizerFolder, saveTokenizerFolder } from './tokenizer-files.ts'
import { parseTokenizer, tokenizerToJson } from './tokenizer-json.ts'
import {
  checkPadding,
  checkTruncation,
  type Padding,
  padEncodings,
  type Truncation,
  truncateEncodings,
} from './truncation.ts'
import { WordEncoder } from './word-encoder.ts'

export interface TokenizerParts {
  readonly model: Model
  readonly normalizer?: Normalizer | null
  readonly preTokenizer?: PreTokenizer | null
  readonly postProcessor?: PostProcessor | null
  readonly decoder?: Decoder | null
  readonly addedTokens?: Iterable<AddedToken>
  readonly truncation?: Truncation | null
  readonly padding?: Padding | null
  /** What tokenizer_config.json says: special tokens, chat template, longest input. */
  readonly config?: TokenizerConfig
}

export interface EncodeOptions {
  /** A second text, for tasks on two. */
  readonly pair?: string | readonly string[]
  /** Whether the post-processor adds its tokens. Default true. */
  readonly addSpecialTokens?: boolean
  /** Default: as the tokenizer's file says. True takes the longest input that its config names, cut at its `truncation_side`. */
  readonly truncation?: Truncation | boolean
  /** Default: as the tokenizer's file says. True pads to the longest of a batch, at the config's `padding_side`. */
  readonly padding?: Padding | boolean
  /** The unit of offsets: UTF-16 units as JavaScript counts (default), or code points as Python counts. */
  readonly offsets?: 'utf16' | 'codePoints'
  /** True takes special tokens in the text as ordinary text. Default: as the config says, else false. */
  readonly splitSpecialTokens?: boolean
}

export interface DecodeOptions {
  /** Default true. */
  readonly skipSpecialTokens?: boolean
  /** Whether spaces before English punctuation go. Default: as the config says, but never for BPE, as in transformers 5. */
  readonly cleanUpTokenizationSpaces?: boolean
}

export interface ChatOptions extends ChatTemplateOptions, Pick<EncodeOptions, 'truncation' | 'padding'> {
  /** False gives the text instead of its tokens. Default true. */
  readonly tokenize?: boolean
  /** True gives besides the tokens which of them the assistant says. Default false. */
  readonly returnAssistantTokensMask?: boolean
}

export interface ChatEncoding {
  readonly encoding: Encoding
  /** 1 for each token between `{% generation %}` and `{% endgeneration %}` of the template, else 0. */
  readonly assistantTokensMask: number[]
}

const encodeNames: Readonly<Record<keyof EncodeOptions, true>> = {
  pair: true,
  addSpecialTokens: true,
  truncation: true,
  padding: true,
  offsets: true,
  splitSpecialTokens: true,
}
const decodeNames: Readonly<Record<keyof DecodeOptions, true>> = {
  skipSpecialTokens: true,
  cleanUpTokenizationSpaces: true,
}
const chatNames: Readonly<Record<keyof ChatOptions, true>> = {
  chatTemplate: true,
  tools: true,
  documents: true,
  addGenerationPrompt: true,
  continueFinalMessage: true,
  variables: true,
  tokenize: true,
  returnAssistantTokensMask: true,
  truncation: true,
  padding: true,
}
/** With the id of those that another tokenizer gives as its `addedTokens`; here they get their own. */
const addedTokenNames: Readonly<Record<keyof AddedToken | 'id', true>> = {
  content: true,
  singleWord: true,
  lstrip: true,
  rstrip: true,
  normalized: true,
  special: true,
  id: true,
}
const { pair: _, ...batchNames } = encodeNames

/** A text, or one that is already cut into words. */
export type TextInput = string | readonly string[]

/**
 * Text to ids and back: added tokens are found, the rest is normalized, cut into pieces, turned into tokens by the model
 * and completed by the post-processor. Same results as `Tokenizer` of HF tokenizers 0.23.
 */
export class Tokenizer {
  readonly normalizer: Normalizer | null
  readonly preTokenizer: PreTokenizer | null
  readonly postProcessor: PostProcessor | null
  readonly decoder: Decoder | null
  truncation: Truncation | null
  padding: Padding | null
  config: TokenizerConfig
  private currentModel: Model
  private pieces: PieceEncoder
  private words: WordEncoder | null
  private readonly added = new AddedTokens()
  private readonly normalize: Normalize
  /** Tokens of the model, as it spells them; those of added tokens and of padding are known from the text and the option. */
  private readonly tokenText = (id: number): string => this.model.vocabulary.tokenOf(id) ?? this.idToToken(id) ?? ''

  constructor(parts: TokenizerParts) {
    this.currentModel = parts.model
    this.pieces = new PieceEncoder(parts.model)
    this.normalizer = parts.normalizer ?? null
    this.preTokenizer = parts.preTokenizer ?? null
    this.postProcessor = parts.postProcessor ?? null
    this.decoder = parts.decoder ?? null
    this.truncation = parts.truncation ?? null
    this.padding = parts.padding ?? null
    this.config = parts.config ?? {}
    const { normalizer } = this
    this.normalize = normalizer ? text => normalizer.normalize(text) : text => text
    this.words = this.wordEncoder()
    this.addTokens(parts.addedTokens ?? [])
  }

  /** From the objects in a tokenizer.json and a tokenizer_config.json. Throws HEED_CONFIG_INVALID. */
  static fromJSON(json: unknown, config: TokenizerConfig = {}): Tokenizer {
    return new Tokenizer(withConfig(parseTokenizer(json), config))
  }

  /**
   * From a file by path or URL: a tokenizer.json, or by its ending a BERT vocabulary (.txt), a SentencePiece or LLaMA 3
   * model (.model), tiktoken ranks named as their encoding (.tiktoken), llama2.c's tokenizer (.bin) or a GGUF file (.gguf), whose head is read.
   * HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID, HEED_ARGUMENT_INVALID, HEED_IO.
   */
  static async fromFile(path: string): Promise<Tokenizer> {
    return new Tokenizer(await loadTokenizerFile(path))
  }

  /**
   * From a folder or its URL: tokenizer.json with tokenizer_config.json, special_tokens_map.json, added_tokens.json,
   * chat_template.jinja and the additional_chat_templates (not of a URL) where they exist; without tokenizer.json its vocabulary files: vocab.txt, vocab.json with
   * merges.txt, or a SentencePiece or LLaMA 3 model. A GGUF file will do too.
   * Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID, HEED_IO.
   */
  static async fromPretrained(folder: string): Promise<Tokenizer> {
    return new Tokenizer(await loadTokenizerFolder(folder))
  }

  get model(): Model {
    return this.currentModel
  }

  /** What a trainer does at its end. Added tokens keep their ids. */
  set model(model: Model) {
    this.currentModel = model
    this.pieces = new PieceEncoder(model)
    this.words = this.wordEncoder()
  }

  /** Number of tokens, added ones included. */
  get vocabSize(): number {
    let size = this.model.vocabulary.size
    for (const [, { content }] of this.added.entries()) if (this.model.vocabulary.idOf(content) === undefined) size++
    return size
  }

  /**
   * Adds tokens that are found before the model sees the text; returns how many were new or changed.
   * Throws HEED_ARGUMENT_INVALID.
   */
  addTokens(tokens: Iterable<AddedToken | string>): number {
    return this.added.add(asAddedTokens(tokens), this.model.vocabulary, this.normalize)
  }

  /** The same for tokens that decode leaves out. */
  addSpecialTokens(tokens: Iterable<AddedToken | string>): number {
    return this.addTokens(asAddedTokens(tokens).map(token => ({ ...token, special: true })))
  }

  /** Added tokens with their ids, by ascending id. */
  get addedTokens(): (Required<AddedToken> & { readonly id: number })[] {
    return this.added.entries().map(([id, token]) => ({ id, ...token }))
  }

  tokenToId(token: string): number | undefined {
    return this.added.idOf(token) ?? this.model.vocabulary.idOf(token)
  }

  idToToken(id: number): string | undefined {
    return this.added.decodedForm(id) ?? this.model.vocabulary.tokenOf(id)
  }

  /** Ids by token, added ones included. */
  vocabulary(): Map<string, number> {
    const vocabulary = new Map(this.model.vocabulary.entries())
    for (const [id, { content }] of this.added.entries()) vocabulary.set(content, id)
    return vocabulary
  }

  /** The chat templates of the config by their names, none where it has none; one alone is `default`. Throws HEED_CONFIG_INVALID. */
  get chatTemplates(): ReadonlyMap<string, string> {
    return chatTemplatesOf(this.config)
  }

  /** The text of a special token of the config (`bos_token`, `eos_token`, `pad_token`...), if it names one. */
  specialToken(name: string): string | undefined {
    return specialTokenOf(this.config, name)
  }

  /** The id of a special token of the config, if it names one of the vocabulary. */
  specialTokenId(name: string): number | undefined {
    const token = this.specialToken(name)
    return token === undefined ? undefined : this.tokenToId(token)
  }

  /** Throws HEED_ARGUMENT_INVALID, HEED_CONFIG_INVALID. */
  encode(text: TextInput, options: EncodeOptions = {}): Encoding {
    checkOptions('encode', options, encodeNames)
    const encoding = this.encodeUnpadded(text, options)
    return this.pad([encoding], options)[0]!
  }

  /** Each text as `encode` would, padded together. With pairs, each input is `[text, pair]`. */
  encodeBatch(
    inputs: readonly (string | readonly [text: TextInput, pair: TextInput])[],
    options: Omit<EncodeOptions, 'pair'> = {},
  ): Encoding[] {
    checkOptions('encodeBatch', options, batchNames)
    if (!Array.isArray(inputs)) {
      throw invalidArgument('encodeBatch: inputs', inputs, 'a list of texts', 'Pass [text].')
    }
    const encodings = inputs.map((input: (typeof inputs)[number], i) => {
      if (typeof input !== 'string' && !(Array.isArray(input) && (input.length === 1 || input.length === 2))) {
        const mend = 'Encode a text that is cut into words with encode.'
        throw invalidArgument(`encodeBatch: inputs[${i}]`, input, 'a text or [text, pair]', mend)
      }
      const [text, pair] = typeof input === 'string' ? [input] : input
      return this.encodeUnpadded(text, pair === undefined ? options : { ...options, pair })
    })
    return this.pad(encodings, options)
  }

  /** The pieces that the model gets for a text, in order; what trainers count. */
  preTokenize(text: string): PreTokenizedText {
    return this.cut(text.toWellFormed(), true)
  }

  /** The text of tokens; ids that are no token are left out, as HF does. Throws HEED_ID_OUT_OF_RANGE for no integer, HEED_ARGUMENT_INVALID for no list. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    checkOptions('decode', options, decodeNames)
    const { skipSpecialTokens = true } = options
    const tokens: string[] = []
    if (typeof ids === 'string' || !(Symbol.iterator in Object(ids))) {
      throw invalidArgument('decode: ids', ids, 'a list of integers', 'Pass [id] for a single one.')
    }
    for (const id of ids) {
      if (!Number.isInteger(id) || id < 0) {
        throw new HeedError(
          'HEED_ID_OUT_OF_RANGE',
          `decode: an id is ${shown(id)}, expected an integer from 0 on. Leave out labels that mask positions.`,
        )
      }
      const token = this.idToToken(id)
      if (token !== undefined && !(skipSpecialTokens && this.added.isSpecial(token))) tokens.push(token)
    }
    const text = this.decoder ? this.decoder.decodeChain(tokens).join('') : tokens.join(' ')
    return this.cleansUp(options) ? closeUpEnglish(text) : text
  }

  decodeBatch(batch: Iterable<Iterable<number>>, options: DecodeOptions = {}): string[] {
    checkOptions('decodeBatch', options, decodeNames)
    return [...batch].map(ids => this.decode(ids, options))
  }

  /** Decodes ids one by one as a model makes them, never with half a character. */
  decodeStream(options: DecodeOptions = {}): DecodeStream {
    checkOptions('decodeStream', options, decodeNames)
    const exact = { cleanUpTokenizationSpaces: false, ...options }
    return new DecodeStream(ids => this.decode(ids, exact))
  }

  /**
   * The tokens of a conversation by the model's chat template, special tokens included; same as `apply_chat_template` of
   * transformers. Throws HEED_ARGUMENT_INVALID, HEED_CONFIG_INVALID.
   */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatOptions & { readonly tokenize: false }): string
  applyChatTemplate(
    messages: readonly ChatMessage[],
    options: ChatOptions & { readonly returnAssistantTokensMask: true },
  ): ChatEncoding
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatOptions): Encoding
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatOptions = {}): string | Encoding | ChatEncoding {
    checkOptions('applyChatTemplate', options, chatNames)
    const { text, assistantSpans } = renderChat(messages, this.config, options)
    if (options.tokenize === false) return text
    const { truncation, padding } = options
    const encoding = this.encode(text, {
      addSpecialTokens: false,
      ...(truncation !== undefined && { truncation }),
      ...(padding !== undefined && { padding }),
    })
    if (!options.returnAssistantTokensMask) return encoding
    const isAssistant = ([start, end]: readonly [number, number]) =>
      assistantSpans.some(span => start < span[1] && end > span[0])
    return { encoding, assistantTokensMask: encoding.offsets.map(offsets => (isAssistant(offsets) ? 1 : 0)) }
  }

  /** The object of a tokenizer.json, which HF loads. */
  toJSON(): Record<string, unknown> {
    return tokenizerToJson(this)
  }

  /** Writes tokenizer.json, tokenizer_config.json and, if there is one, chat_template.jinja. Throws HEED_IO. */
  async save(folder: string): Promise<void> {
    await saveTokenizerFolder(this, folder)
  }

  private cleansUp({ cleanUpTokenizationSpaces }: DecodeOptions): boolean {
    if (cleanUpTokenizationSpaces !== undefined) return cleanUpTokenizationSpaces
    return this.config.clean_up_tokenization_spaces === true && !(this.model instanceof BpeModel)
  }

  private encodeUnpadded(text: TextInput, options: EncodeOptions): Encoding {
    const { addSpecialTokens = true } = options
    let encodings: readonly Encoding[] = [this.encodeOne(text, 0, options)]
    if (options.pair !== undefined) encodings = [...encodings, this.encodeOne(options.pair, 1, options)]
    const { postProcessor } = this
    const truncation = this.truncationFor(options)
    if (truncation) {
      const added = addSpecialTokens ? (postProcessor?.addedTokens(encodings.length === 2) ?? 0) : 0
      encodings = truncateEncodings(encodings, truncation, added)
    }
    if (postProcessor) {
      const ordered = encodings.map((encoding, i) => encoding.with({ sequenceId: i }))
      encodings = postProcessor.process(ordered, addSpecialTokens, this.tokenText)
    } else if (encodings.length === 2) encodings = encodings.map((encoding, i) => encoding.with({ sequenceId: i }))
    return encodings.length === 1 ? encodings[0]! : Encoding.join(encodings, this.tokenText)
  }

  private encodeOne(text: TextInput, typeId: number, options: EncodeOptions): Encoding {
    if (typeof text !== 'string' && !(Array.isArray(text) && text.every(word => typeof word === 'string'))) {
      throw invalidArgument('encode: the text', text, 'a string or a list of strings', 'Convert it first.')
    }
    if (typeof text !== 'string') {
      const words = text.map((word, i) => new Encoding(this.columnsOf(word, typeId, options, i), this.tokenText))
      return Encoding.join(words, this.tokenText)
    }
    return new Encoding(this.columnsOf(text, typeId, options), this.tokenText)
  }

  private columnsOf(given: string, typeId: number, options: EncodeOptions, wordId?: number): EncodingColumns {
    const text = given.toWellFormed()
    const columns =
      this.words && this.added.areAbsentFrom(text)
        ? this.words.encode(text, typeId, wordId)
        : this.pieces.encode(this.cut(text, !this.splitsSpecialTokens(options)), typeId, wordId)
    if (options.offsets !== 'codePoints') return columns
    return changeColumns(columns, { spans: () => toCodePoints(text, columns.spans) })
  }

  private splitsSpecialTokens({ splitSpecialTokens }: EncodeOptions): boolean {
    return splitSpecialTokens ?? this.config.split_special_tokens === true
  }

  private wordEncoder(): WordEncoder | null {
    if (!this.model.isDeterministic) return null
    return WordEncoder.of(this.normalizer, this.preTokenizer, this.pieces, word => this.cut(word, true))
  }

  private cut(text: string, matchesSpecial: boolean): PreTokenizedText {
    const pieces = this.added.extract(text, this.normalize, matchesSpecial)
    this.preTokenizer?.preTokenize(pieces)
    return pieces
  }

  private truncationFor(options: EncodeOptions): Truncation | null {
    const { truncation = this.truncation } = options
    if (truncation === false || truncation === null) return null
    const direction = this.truncation?.direction ?? sideOf(this.config, 'truncation_side') ?? 'right'
    if (truncation !== true) {
      checkTruncation(truncation)
      return { direction, ...truncation }
    }
    if (this.truncation) return this.truncation
    const maxLength = this.config.model_max_length
    if (typeof maxLength === 'number' && maxLength < Number.MAX_SAFE_INTEGER) return { maxLength, direction }
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      'encode: truncation is true, but neither tokenizer.json nor tokenizer_config.json names a longest input. ' +
        'Pass truncation: { maxLength }.',
    )
  }

  private pad(encodings: readonly Encoding[], options: EncodeOptions): Encoding[] {
    const { padding = this.padding ?? false } = options
    if (padding === false) return [...encodings]
    const direction = this.padding?.direction ?? sideOf(this.config, 'padding_side') ?? 'right'
    if (padding !== true) checkPadding(padding)
    const chosen = { direction, ...(padding === true ? this.padding : padding) }
    return padEncodings(encodings, chosen, this.padToken(chosen))
  }

  private padToken(padding: Padding): PadToken {
    const padToken = padding.padToken ?? this.padding?.padToken ?? this.specialToken('pad_token') ?? '[PAD]'
    const ownId = padToken === this.padding?.padToken ? this.padding.padId : undefined
    const padId = padding.padId ?? ownId ?? this.tokenToId(padToken)
    if (padId === undefined) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `encode: padding.padToken is ${JSON.stringify(padToken)}, expected a token of the vocabulary. ` +
          'Pass padding: { padToken } or { padId }.',
      )
    }
    return { padToken, padId, padTypeId: padding.padTypeId ?? this.padding?.padTypeId ?? 0 }
  }
}

function asAddedTokens(tokens: Iterable<AddedToken | string>): AddedToken[] {
  if (typeof tokens === 'string' || !(Symbol.iterator in Object(tokens))) {
    throw invalidArgument('addTokens: tokens', tokens, 'a list of tokens', 'Pass [token] for a single one.')
  }
  return Array.from(tokens, token => {
    const added = typeof token === 'string' ? { content: token } : token
    if (typeof added?.content !== 'string')
      throw invalidArgument('addTokens: a token', token, 'a string or an object with content', 'Name its text.')
    checkOptions('addTokens', added, addedTokenNames)
    return added
  })
}

const surrogate = /[\ud800-\udfff]/

/** Spans counted in code points instead of UTF-16 units. */
function toCodePoints(text: string, spans: readonly number[]): readonly number[] {
  if (!surrogate.test(text)) return spans
  const positions = new Int32Array(text.length + 1)
  let count = 0
  for (let i = 0; i <= text.length; i++) {
    positions[i] = count
    const unit = text.charCodeAt(i)
    const isPair = unit >= 0xd800 && unit <= 0xdbff && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00
    if (!isPair) count++
  }
  return spans.map(position => positions[position]!)
}
