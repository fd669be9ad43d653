/** How a model on the hub is reached. */
export interface HubOptions {
  /** Branch, tag or commit; `main` by default. */
  revision?: string
  /** `HF_ENDPOINT`, or https://huggingface.co, by default. */
  endpoint?: string
  /** `HF_TOKEN` by default; only gated and private models need one. */
  token?: string
  /** HF's cache by default: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or ~/.cache/huggingface/hub. Not used in a page. */
  cacheDir?: string
  /** Bytes of each file as they come. */
  onDownload?: (progress: { file: string; loaded: number; total: number }) => void
}

export const DEFAULT_ENDPOINT: string = 'https://huggingface.co'

/** A repository's name, as `gpt2` or `google/flan-t5-small`; what else there is are paths and URLs. */
export function isHubId(text: string): boolean {
  return /^[A-Za-z0-9][\w.-]*(?:\/[A-Za-z0-9][\w.-]*)?$/.test(text)
}

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
