/** Of the files of a repository those that a model needs: configuration, tokenizer, and one kind of weights. */
export function neededFiles(names: readonly string[]): string[] {
  const top = names.filter(name => !name.includes('/'))
  const weights = (pattern: RegExp): string[] => top.filter(name => pattern.test(name))
  const safetensors = weights(/^model(?:-\d{5}-of-\d{5})?\.safetensors$/)
  const chosen = safetensors.length > 0 ? safetensors : weights(/^pytorch_model(?:-\d{5}-of-\d{5})?\.bin$/)
  const others = top.filter(name => /\.(?:json|txt|model|jinja)$/.test(name) && !/^pytorch_model.*\.json$/.test(name))
  const index = safetensors.length > 0 ? [] : weights(/^pytorch_model\.bin\.index\.json$/)
  return [...others, ...index, ...chosen]
}
