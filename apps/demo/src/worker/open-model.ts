import { HeedError, parseStrictJson, readText } from '@heed/tensor-backend'
import { importGgufVocabulary, readGgufMetadata, Tokenizer, type TokenizerConfig } from '@heed/tokenizer'
import type { PretrainedModel } from '@heed/transformer'
import { AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM } from 'heed'

/** A dropped folder, or an address: of a folder, of the hub, or of the run that was trained here. */
export type ModelSource = { files: File[] } | { address: string }
export type Task = 'generate' | 'fill' | 'translate'

export interface OpenModel {
  model: PretrainedModel
  tokenizer: Tokenizer
  task: Task
}

/** The text of a file of a folder, undefined where it has none of this name. */
async function textIn(source: ModelSource, name: string): Promise<string | undefined> {
  if ('files' in source) return source.files.find(file => file.name === name)?.text()
  return readText(`${source.address}/${name}`)
}

const jsonIn = async (source: ModelSource, name: string): Promise<unknown> =>
  parseStrictJson((await textIn(source, name)) ?? '{}', name)

const isGguf = ({ name }: File): boolean => /\.gguf$/i.test(name)

/** No vocabulary is larger than this. */
const longestGgufHead = 2 ** 28

/** The tokenizer at the head of a GGUF file, of which no more is read than that takes. */
async function tokenizerOfGguf(file: File): Promise<Tokenizer> {
  for (let limit = 2 ** 24; ; limit *= 4) {
    const bytes = new Uint8Array(await file.slice(0, limit).arrayBuffer())
    try {
      const { tokenizer, config } = importGgufVocabulary(readGgufMetadata(bytes, file.name))
      return Tokenizer.fromJSON(tokenizer, config)
    } catch (error) {
      if (limit >= Math.min(file.size, longestGgufHead)) throw error
    }
  }
}

async function openTokenizer(source: ModelSource): Promise<Tokenizer> {
  if ('address' in source) return Tokenizer.fromPretrained(source.address)
  const json = await textIn(source, 'tokenizer.json')
  const gguf = source.files.find(isGguf)
  if (json === undefined && gguf) return tokenizerOfGguf(gguf)
  if (json === undefined) {
    throw new HeedError('HEED_FILE_NOT_FOUND', 'tokenizer.json: it is not among the files given. Add it.')
  }
  const config = (await jsonIn(source, 'tokenizer_config.json')) as TokenizerConfig
  const template = await textIn(source, 'chat_template.jinja')
  return Tokenizer.fromJSON(parseStrictJson(json, 'tokenizer.json'), {
    ...config,
    ...(template !== undefined && { chat_template: template }),
  })
}

/** What a model is for, by its class; a GGUF file writes on. */
async function taskAt(source: ModelSource): Promise<Task> {
  if ('files' in source && source.files.some(isGguf)) return 'generate'
  const config = (await jsonIn(source, 'config.json')) as { architectures?: string[] }
  const architecture = config.architectures?.[0] ?? ''
  if (architecture.endsWith('ForMaskedLM')) return 'fill'
  return /ForConditionalGeneration|MarianMTModel|^Transformer/.test(architecture) ? 'translate' : 'generate'
}

/** The model and the tokenizer of a folder. Throws as `fromPretrained` of both. */
export async function openModel(
  source: ModelSource,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<OpenModel> {
  const tokenizer = await openTokenizer(source)
  const location = 'files' in source ? new Map(source.files.map(file => [file.name, file])) : source.address
  const task = await taskAt(source)
  const classes = { generate: AutoModelForCausalLM, fill: AutoModelForMaskedLM, translate: AutoModelForSeq2SeqLM }
  const model = await classes[task].fromPretrained(location, {
    onProgress: ({ loaded: done, total }) => onProgress(done, total),
  })
  return { model, tokenizer, task }
}
