import type { Direction } from './encoding.ts'
import { JsonObject } from './json-object.ts'

/** The object in tokenizer_config.json; keys as the file spells them. */
export interface TokenizerConfig {
  readonly model_max_length?: number
  /** One template, or several by their names. */
  readonly chat_template?:
    | string
    | readonly { readonly name: string; readonly template: string }[]
    | Readonly<Record<string, string>>
  readonly [key: string]: unknown
}

/** The text of a special token, which files give as a string or as an object with `content`. */
export function specialTokenOf(config: TokenizerConfig, name: string): string | undefined {
  const value = config[name]
  if (typeof value === 'string') return value
  const content = typeof value === 'object' && value !== null && 'content' in value ? value.content : undefined
  return typeof content === 'string' ? content : undefined
}

/** The chat templates by their names; one alone is `default`, and an empty text none. Throws HEED_CONFIG_INVALID. */
export function chatTemplatesOf({ chat_template: templates }: TokenizerConfig): ReadonlyMap<string, string> {
  if (templates === '') return new Map()
  if (typeof templates === 'string') return new Map([['default', templates]])
  const rows: [unknown, unknown][] = Array.isArray(templates)
    ? templates.map(row => [row?.name, row?.template])
    : Object.entries(templates ?? {})
  for (const row of rows) {
    if (row.every(part => typeof part === 'string')) continue
    throw configFile({ chat_template: templates! }).invalid('chat_template', 'a text, or a list of { name, template }')
  }
  return new Map(rows as [string, string][])
}

/** The end that `padding_side` or `truncation_side` names, if the config has it. Throws HEED_CONFIG_INVALID. */
export function sideOf(config: TokenizerConfig, key: 'padding_side' | 'truncation_side'): Direction | undefined {
  const file = configFile(config)
  return file.has(key) ? file.choice<Direction>(key, ['left', 'right']) : undefined
}

export function configFile(config: TokenizerConfig): JsonObject {
  return JsonObject.of(config, 'tokenizer_config.json')
}
