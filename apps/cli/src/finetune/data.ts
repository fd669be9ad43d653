import { HeedError } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import {
  type ChatMessage,
  type ClassificationExample,
  chatExample,
  Dataset,
  type DatasetFormat,
  type IndexedDataset,
  ignoreIndex,
  loadDataset,
  PackedTokens,
  type PreferencePair,
  type Row,
  readDatasetPieces,
  readTextFiles,
  readTextPieces,
  splitText,
  type TokenExample,
} from '@heed/trainer'
import { isDataset } from '../dataset-name.ts'
import { formatOf } from '../file-format.ts'
import { withoutUndefined } from '../without-undefined.ts'
import type { FinetuneRecipe } from './recipe.ts'

/** Examples to learn from and to validate with. */
export interface Split<T> {
  train: IndexedDataset<T>
  validation: IndexedDataset<T>
}

const defaultValidationSplit = 0.1

/** Files and data sets, and what of them is meant. */
interface Sources extends Pick<FinetuneRecipe['data'], 'config' | 'textColumn'> {
  names: readonly string[]
  split: string | undefined
  /** Of data sets, where `split` does not say. */
  usualSplit: string
}

function trainingSources({ train: names, split, ...reading }: FinetuneRecipe['data']): Sources {
  return { ...reading, names, split, usualSplit: 'train' }
}

/** Undefined where a part of the training data is to be kept for it. */
function validationSources({ train, validation, evalSplit, ...reading }: FinetuneRecipe['data']): Sources | undefined {
  if (!validation && evalSplit === undefined) return undefined
  return { ...reading, names: validation ?? train, split: evalSplit, usualSplit: 'validation' }
}

/** Texts as blocks of tokens; those of rows end with the tokenizer's end of text. Throws HEED_ARGUMENT_INVALID when there are too few. */
export async function textBlocks(
  { data, training }: FinetuneRecipe,
  tokenizer: Tokenizer,
  blockSize: number,
): Promise<Split<TokenExample>> {
  const { validationSplit = defaultValidationSplit } = data
  const pack = (name: string, texts: readonly string[]): PackedTokens => packed(texts, tokenizer, blockSize, name)
  const texts = await textsOf(trainingSources(data))
  const validation = validationSources(data)
  if (validation) {
    return { train: pack('training text', texts), validation: pack('validation text', await textsOf(validation)) }
  }
  if (texts.length === 1) {
    const [first, last] = splitText(texts[0]!, validationSplit)
    return { train: pack('training text', [first]), validation: pack('validation text', [last]) }
  }
  const { train, test } = splitOff(new Dataset(texts), validationSplit, training.seed)
  return { train: pack('training texts', [...train]), validation: pack('validation texts', [...test]) }
}

function packed(texts: readonly string[], tokenizer: Tokenizer, blockSize: number, name: string): PackedTokens {
  const end = texts.length > 1 ? tokenizer.specialTokenId('eos_token') : undefined
  const ids: number[] = []
  let numBytes = 0
  for (const text of texts) {
    for (const id of tokenizer.encode(text, { addSpecialTokens: false }).ids) ids.push(id)
    if (end !== undefined) ids.push(end)
    numBytes += Buffer.byteLength(text)
  }
  return new PackedTokens(Int32Array.from(ids), { blockSize, bytesPerToken: numBytes / ids.length, name })
}

/** The documents of files and data sets; plain texts that are read whole are one. */
async function textsOf({ names, usualSplit, ...part }: Sources): Promise<string[]> {
  const { split, textColumn = 'text' } = part
  const areDatasets = await Promise.all(names.map(name => isDataset(name, part)))
  const isText = names.every((name, i) => !areDatasets[i] && formatOf(name) === undefined)
  if (isText && split === undefined) return [await readTextFiles(names)]
  const documents: string[] = []
  for (const [i, name] of names.entries()) {
    const pieces = areDatasets[i]
      ? readDatasetPieces(name, { split: usualSplit, ...withoutUndefined(part) })
      : readTextPieces(formatOf(name) ?? 'text', [name], textColumn, split)
    let open = ''
    for await (const { texts, endsLast } of pieces) {
      const whole = [open + texts[0], ...texts.slice(1)]
      open = endsLast ? '' : whole.pop()!
      for (const text of whole) documents.push(text)
    }
  }
  return documents
}

/** Chats of which the assistant's turns are learned, cut to `blockSize` tokens. Throws HEED_CONFIG_INVALID, HEED_FILE_INVALID. */
export async function chatExamples(
  recipe: FinetuneRecipe,
  tokenizer: Tokenizer,
  blockSize: number,
): Promise<Split<TokenExample>> {
  if (tokenizer.chatTemplates.size === 0) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${recipe.model}: chat_template is missing, expected one to write chats with. ` +
        'Add it to tokenizer_config.json, or give texts and --task text.',
    )
  }
  const { train, validation } = await splitRows(recipe)
  const encode = async (rows: Dataset<Row>): Promise<Dataset<TokenExample>> => {
    const examples = await rows.map((row, index) => {
      const { inputIds, labels } = chatExample(tokenizer as never, messagesOf(row, index))
      return {
        inputIds: Array.from(inputIds).slice(0, blockSize),
        labels: Array.from(labels!).slice(0, blockSize),
      }
    })
    // what is cut before the first answer teaches nothing
    const some = await examples.filter(({ labels }) => labels.some(label => label !== ignoreIndex))
    if (some.length > 0) return some
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `heed finetune: none of ${rows.length} chats has an answer in its first ${blockSize} tokens. Raise --block-size.`,
    )
  }
  return { train: await encode(train), validation: await encode(validation) }
}

function messagesOf(row: Row, index: number): ChatMessage[] {
  const { messages } = row
  const isMessage = (value: unknown): boolean => {
    const { role, content } = (value ?? {}) as Partial<ChatMessage>
    return typeof role === 'string' && typeof content === 'string'
  }
  if (Array.isArray(messages) && messages.length > 0 && messages.every(isMessage)) return messages
  throw new HeedError(
    'HEED_FILE_INVALID',
    `heed finetune: messages of row ${index + 1} is ${JSON.stringify(messages)}, ` +
      'expected a list of objects with the texts role and content. Rows without chats are for --task text or classification.',
  )
}

/**
 * A prompt with a better and a worse answer in each row, `prompt`, `chosen` and `rejected`; answers end with the tokenizer's end
 * of text, and are cut to what `blockSize` leaves them. Throws HEED_FILE_INVALID, and HEED_ARGUMENT_INVALID when it leaves none.
 */
export async function preferencePairs(
  recipe: FinetuneRecipe,
  tokenizer: Tokenizer,
  blockSize: number,
): Promise<Split<PreferencePair>> {
  const end = tokenizer.specialTokenId('eos_token')
  const answer = (text: string, room: number): number[] => {
    const { ids } = tokenizer.encode(text, { addSpecialTokens: false })
    return [...ids, ...(end === undefined ? [] : [end])].slice(0, room)
  }
  const encode = (rows: Dataset<Row>): Promise<Dataset<PreferencePair>> =>
    rows.map(row => {
      const prompt = [...tokenizer.encode(textOf(row, 'prompt')).ids]
      if (prompt.at(-1) === end) prompt.pop() // what ends a text comes after the answer
      const room = blockSize - prompt.length
      if (room < 1) {
        throw new HeedError(
          'HEED_ARGUMENT_INVALID',
          `heed finetune: a prompt has ${prompt.length} tokens, expected fewer than --block-size (${blockSize}). Raise it, or shorten prompts.`,
        )
      }
      return { prompt, chosen: answer(textOf(row, 'chosen'), room), rejected: answer(textOf(row, 'rejected'), room) }
    })
  const { train, validation } = await splitRows(recipe)
  return { train: await encode(train), validation: await encode(validation) }
}

/** The preferred answers of pairs, as texts of which the answer is learned. */
export function preferredAnswers(pairs: IndexedDataset<PreferencePair>): IndexedDataset<TokenExample> {
  return {
    length: pairs.length,
    async get(index) {
      const { prompt, chosen } = await pairs.get(index)
      const [given, learned] = [Array.from(prompt), Array.from(chosen)]
      return { inputIds: [...given, ...learned], labels: [...given.map(() => ignoreIndex), ...learned] }
    },
  }
}

/** Texts with labels. */
export interface LabelledTexts extends Split<ClassificationExample> {
  /** The labels, sorted, or those that `known` has in its order; a number in the examples is a place among them. */
  labels: string[]
}

/**
 * Texts, `text` and where there is one `textPair`, with the class that `label` names, cut to `blockSize` tokens.
 * Throws HEED_FILE_INVALID when a row lacks one of them, HEED_ARGUMENT_INVALID when there are less than two labels.
 */
export async function labelledTexts(
  recipe: FinetuneRecipe,
  tokenizer: Tokenizer,
  { blockSize, known }: { blockSize: number; known: readonly string[] },
): Promise<LabelledTexts> {
  const { train, validation } = await splitRows(recipe)
  const found = new Set([...train, ...validation].map(row => labelOf(row)))
  const labels = [...found].every(label => known.includes(label)) ? [...known] : [...found].sort(byNumberOrName)
  if (labels.length < 2) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `heed finetune: the labels are ${labels.join(', ')}, expected at least two to tell apart. Check the column label.`,
    )
  }
  const encode = (rows: Dataset<Row>): Promise<Dataset<ClassificationExample>> =>
    rows.map(row => {
      const pair = row.textPair === undefined ? {} : { pair: textOf(row, 'textPair') }
      const options = { ...pair, truncation: { maxLength: blockSize } }
      const { ids, typeIds } = tokenizer.encode(textOf(row, 'text'), options)
      return {
        inputIds: ids,
        ...(row.textPair !== undefined && { tokenTypeIds: typeIds }),
        label: labels.indexOf(labelOf(row)),
      }
    })
  return { labels, train: await encode(train), validation: await encode(validation) }
}

const byNumberOrName = (a: string, b: string): number => Number(a) - Number(b) || (a < b ? -1 : 1)

function labelOf(row: Row): string {
  const { label } = row
  if ((typeof label === 'string' && label !== '') || typeof label === 'number') return String(label)
  throw missingColumn(row, 'label')
}

function textOf(row: Row, column: string): string {
  const text = row[column]
  if (typeof text === 'string') return text
  throw missingColumn(row, column)
}

function missingColumn(row: Row, column: string): HeedError {
  return new HeedError(
    'HEED_FILE_INVALID',
    `heed finetune: ${column} of a row is ${JSON.stringify(row[column])}, expected one in every row. ` +
      `This one has the columns ${Object.keys(row).join(', ')}.`,
  )
}

async function splitRows({
  data,
  training,
}: FinetuneRecipe): Promise<{ train: Dataset<Row>; validation: Dataset<Row> }> {
  const rows = await rowsOf(trainingSources(data))
  const validation = validationSources(data)
  if (validation) return { train: rows, validation: await rowsOf(validation) }
  const { train, test } = splitOff(rows, data.validationSplit ?? defaultValidationSplit, training.seed)
  return { train, validation: test }
}

/** Keeps a part of the examples for validation. Throws HEED_ARGUMENT_INVALID when there are too few. */
function splitOff<T>(examples: Dataset<T>, testSize: number, seed = 42): { train: Dataset<T>; test: Dataset<T> } {
  if (examples.length > 1) return examples.trainTestSplit({ testSize, seed })
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `heed finetune: the data has ${examples.length} example${examples.length === 1 ? '' : 's'}, expected at least 2, of which one is ` +
      'kept for validation. Give more, or others by --validation.',
  )
}

async function rowsOf({ names, split, usualSplit, config, textColumn = 'text' }: Sources): Promise<Dataset<Row>> {
  const rows: Row[] = []
  for (const name of names) {
    const found = (await isDataset(name, { split, config }))
      ? await loadDataset(name, { split: split ?? usualSplit, config })
      : await loadDataset(formatWithColumns(name), { dataFiles: name, split })
    for (const row of found) rows.push(textColumn === 'text' ? row : { ...row, text: row[textColumn] })
  }
  return new Dataset(rows)
}

function formatWithColumns(file: string): DatasetFormat {
  const format = formatOf(file)
  if (format) return format
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `heed finetune: a file is ${file}, expected .jsonl, .csv, .tsv, .parquet, .arrow or a data set here, since it is to have columns.`,
  )
}
