/** Of the files of a repository those that a model or an adapter needs: configuration, tokenizer, and one kind of weights. */
export function neededFiles(names: readonly string[]): string[] {
  const top = names.filter(name => !name.includes('/'))
  const weights = (pattern: RegExp): string[] => top.filter(name => pattern.test(name))
  const safetensors = weights(/^model(?:-\d{5}-of-\d{5})?\.safetensors$/)
  const chosen = safetensors.length > 0 ? safetensors : weights(/^pytorch_model(?:-\d{5}-of-\d{5})?\.bin$/)
  const others = top.filter(name => /\.(?:json|txt|model|jinja)$/.test(name) && !/^pytorch_model.*\.json$/.test(name))
  const templates = names.filter(name => /^additional_chat_templates\/[^/]+\.jinja$/.test(name))
  const index = safetensors.length > 0 ? [] : weights(/^pytorch_model\.bin\.index\.json$/)
  const adapters = weights(/^adapter_model\.safetensors$/)
  const adapter = adapters.length > 0 ? adapters : weights(/^adapter_model\.bin$/)
  return [...others, ...templates, ...index, ...chosen, ...adapter]
}

export const isRemote = (location: string): boolean => /^https?:/.test(location)

/** Whether it is a path as seen from some folder, and no id. */
export const isRelative = (name: string): boolean => /^\.\.?\//.test(name)
