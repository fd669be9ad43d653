import { files } from '#files'
import { withConfig } from './config-parts.ts'
import { HeedError } from './errors.ts'
import { jsonOfFile, textOfFile } from './files/text.ts'
import { type FolderFiles, importableFiles, importFolder } from './importers/folder.ts'
import { readGgufMetadata } from './importers/gguf-metadata.ts'
import { importGgufVocabulary } from './importers/gguf-vocabulary.ts'
import { importFile } from './importers/single-file.ts'
import type { Tokenizer, TokenizerParts } from './tokenizer.ts'
import type { TokenizerConfig } from './tokenizer-config.ts'
import { parseTokenizer } from './tokenizer-json.ts'

/** The files of a folder; undefined for one that is not there. */
class Folder implements FolderFiles {
  constructor(private readonly folder: string) {}

  bytes(name: string): Promise<Uint8Array | undefined> {
    return files.readBytes(files.join(this.folder, name))
  }

  async text(name: string): Promise<string | undefined> {
    const bytes = await this.bytes(name)
    return bytes && textOfFile(bytes, files.join(this.folder, name))
  }

  async json(name: string): Promise<unknown> {
    const bytes = await this.bytes(name)
    return bytes && jsonOfFile(bytes, files.join(this.folder, name))
  }
}

function notFound(path: string, what: string): HeedError {
  return new HeedError('HEED_FILE_NOT_FOUND', `${path}: there is no ${what}. Check the path.`)
}

/** Why a folder gives no tokenizer. */
async function noTokenizer(path: string): Promise<HeedError> {
  const kind = await files.kindOf(path)
  if (kind === 'nothing') return notFound(path, 'such file or folder')
  if (kind === 'folder' || kind === undefined) {
    return notFound(path, `tokenizer.json in this folder, nor ${importableFiles}`)
  }
  return new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${path}: this is a file, expected a folder with a tokenizer, or a .gguf file. Check the path.`,
  )
}

/** The most that the head of a GGUF file may take: the largest vocabularies with merges take some tens of MB. */
const MAX_GGUF_HEAD = 2 ** 28

/** The tokenizer in a GGUF file, of which only the head is read. */
async function loadGguf(path: string): Promise<TokenizerParts> {
  for (let limit = 2 ** 24; ; limit *= 4) {
    const bytes = await files.readBytes(path, limit)
    if (!bytes) throw notFound(path, 'such file')
    try {
      const { tokenizer, config } = importGgufVocabulary(readGgufMetadata(bytes, path), path)
      return { ...parseTokenizer(tokenizer), config }
    } catch (error) {
      const isCutOff = isFileInvalid(error) && bytes.length >= limit && limit < MAX_GGUF_HEAD
      if (!isCutOff) throw error
    }
  }
}

const isFileInvalid = (error: unknown): boolean => error instanceof HeedError && error.code === 'HEED_FILE_INVALID'

export async function loadTokenizerFile(path: string): Promise<TokenizerParts> {
  if (/\.gguf$/i.test(path)) return loadGguf(path)
  const bytes = await files.readBytes(path)
  if (!bytes) throw notFound(path, 'such file')
  const imported = importFile(path, bytes)
  if (!imported) return parseTokenizer(jsonOfFile(bytes, path))
  return { ...parseTokenizer(imported.tokenizer), config: imported.config }
}

export async function loadTokenizerFolder(path: string): Promise<TokenizerParts> {
  if (/\.gguf$/i.test(path)) return loadGguf(path)
  const folder = new Folder(path)
  const config = await loadConfig(folder)
  const json = await folder.json('tokenizer.json')
  if (json !== undefined) return withConfig(parseTokenizer(json), config)
  const imported = await importFolder(folder, config)
  if (!imported) throw await noTokenizer(path)
  return withConfig(parseTokenizer(imported.tokenizer), { ...imported.config, ...config })
}

async function loadConfig(folder: Folder): Promise<TokenizerConfig> {
  const asObject = (value: unknown) => (typeof value === 'object' && value !== null ? value : {})
  const config = await folder.json('tokenizer_config.json')
  const special = await folder.json('special_tokens_map.json')
  const template = await folder.text('chat_template.jinja')
  return { ...asObject(special), ...asObject(config), ...(template !== undefined && { chat_template: template }) }
}

/** Writes the folder that HF's AutoTokenizer loads. */
export async function saveTokenizerFolder(tokenizer: Tokenizer, folder: string): Promise<void> {
  const { chat_template, ...rest } = tokenizer.config
  const isSeparate = typeof chat_template === 'string'
  const config = {
    ...rest,
    ...(chat_template !== undefined && !isSeparate && { chat_template }),
    tokenizer_class: 'PreTrainedTokenizerFast',
  }
  const write = (name: string, text: string) => files.writeText(files.join(folder, name), text)
  await write('tokenizer.json', JSON.stringify(tokenizer, null, 2))
  await write('tokenizer_config.json', `${JSON.stringify(config, null, 2)}\n`)
  if (isSeparate) await write('chat_template.jinja', chat_template)
}
