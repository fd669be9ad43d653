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

  /** Names of what is in a folder within it; none where there is no such folder, or where it cannot be asked. */
  names(name: string): Promise<string[]> {
    return files.list(files.join(this.folder, name))
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
  const { config, legacyTokens } = await loadConfig(folder)
  const json = await folder.json('tokenizer.json')
  if (json !== undefined) return withConfig(parseTokenizer(json), config, legacyTokens)
  const imported = await importFolder(folder, config)
  if (!imported) throw await noTokenizer(path)
  return withConfig(parseTokenizer(imported.tokenizer), { ...imported.config, ...config }, legacyTokens)
}

/** What the files beside tokenizer.json say. Those of older versions count where the config has no tokens of its own. */
async function loadConfig(folder: Folder): Promise<{ config: TokenizerConfig; legacyTokens: unknown }> {
  const asObject = (value: unknown) => (typeof value === 'object' && value !== null ? value : {}) as TokenizerConfig
  const own = asObject(await folder.json('tokenizer_config.json'))
  const isNewer = own.added_tokens_decoder !== undefined
  const config = isNewer ? own : withSpecialTokens(own, asObject(await folder.json('special_tokens_map.json')))
  const templates = await loadTemplates(folder)
  return {
    config: { ...config, ...(templates && { chat_template: templates }) },
    legacyTokens: isNewer ? undefined : await folder.json('added_tokens.json'),
  }
}

/**
 * The config with what special_tokens_map.json says, which goes before it. Extra tokens of the config have their newer name,
 * those of the map their older one, by which they do not make tokens of added_tokens.json special.
 */
function withSpecialTokens(
  { additional_special_tokens: older, ...config }: TokenizerConfig,
  special: TokenizerConfig,
): TokenizerConfig {
  const extra = config.extra_special_tokens ?? older
  const lists = [extra, special.extra_special_tokens]
  const joined = lists.every(Array.isArray) ? lists.flat() : (special.extra_special_tokens ?? extra)
  return { ...config, ...special, ...(joined !== undefined && { extra_special_tokens: joined }) }
}

/** The folder of chat templates beside the default one. */
const TEMPLATE_FOLDER = 'additional_chat_templates'

/** The templates that are files, which go before those of the config; one alone as its text. */
async function loadTemplates(folder: Folder): Promise<TokenizerConfig['chat_template']> {
  const template = await folder.text('chat_template.jinja')
  const names = (await folder.names(TEMPLATE_FOLDER)).filter(name => name.endsWith('.jinja'))
  if (names.length === 0) return template
  const others = names.sort().map(async name => ({
    name: name.slice(0, -'.jinja'.length),
    template: (await folder.text(`${TEMPLATE_FOLDER}/${name}`))!,
  }))
  return [...(template === undefined ? [] : [{ name: 'default', template }]), ...(await Promise.all(others))]
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
