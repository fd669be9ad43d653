/** The object in tokenizer_config.json; keys as the file spells them. */
export interface TokenizerConfig {
  readonly model_max_length?: number
  readonly chat_template?: string | readonly { readonly name: string; readonly template: string }[]
  readonly [key: string]: unknown
}

/** The text of a special token, which files give as a string or as an object with `content`. */
export function specialTokenOf(config: TokenizerConfig, name: string): string | undefined {
  const value = config[name]
  if (typeof value === 'string') return value
  const content = typeof value === 'object' && value !== null && 'content' in value ? value.content : undefined
  return typeof content === 'string' ? content : undefined
}
