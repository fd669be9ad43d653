import { files } from '#files'
import { HeedError } from './errors.ts'
import type { Tokenizer, TokenizerParts } from './tokenizer.ts'
import type { TokenizerConfig } from './tokenizer-config.ts'
import { parseTokenizer } from './tokenizer-json.ts'

async function readText(path: string): Promise<string | undefined> {
  const bytes = await files.readBytes(path)
  if (!bytes) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new HeedError('HEED_FILE_INVALID', `${path}: it is not valid UTF-8. Save it as UTF-8.`, { cause })
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${path}: it is not JSON: ${reason}. Correct the file or fetch it again.`,
      {
        cause,
      },
    )
  }
}

function notFound(path: string, what: string): HeedError {
  return new HeedError('HEED_FILE_NOT_FOUND', `${path}: there is no ${what}. Check the path.`)
}

export async function loadTokenizerFile(path: string): Promise<TokenizerParts> {
  const json = await readJson(path)
  if (json === undefined) throw notFound(path, 'such file')
  return parseTokenizer(json)
}

export async function loadTokenizerFolder(folder: string): Promise<TokenizerParts> {
  const json = await readJson(files.join(folder, 'tokenizer.json'))
  if (json === undefined) throw notFound(folder, 'tokenizer.json in this folder')
  return { ...parseTokenizer(json), config: await loadConfig(folder) }
}

async function loadConfig(folder: string): Promise<TokenizerConfig> {
  const asObject = (value: unknown) => (typeof value === 'object' && value !== null ? value : {})
  const config = await readJson(files.join(folder, 'tokenizer_config.json'))
  const special = await readJson(files.join(folder, 'special_tokens_map.json'))
  const template = await readText(files.join(folder, 'chat_template.jinja'))
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
