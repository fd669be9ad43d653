import type { Tokenizer } from '@heed/tokenizer'
import type { InspectOptions } from '../../commands/tokenizer/inspect.ts'
import { formatCount, formatTable } from '../../terminal/format.ts'
import { bold, dim } from '../../terminal/style.ts'
import { loadTokenizer } from './load.ts'

interface TokenReport {
  id: number
  token: string
  /** What it decodes to. */
  text: string
}

interface Report {
  path: string
  vocabSize: number
  pipeline: {
    normalizer: string | null
    preTokenizer: string | null
    model: string
    postProcessor: string | null
    decoder: string | null
  }
  /** Longest input in tokens that the config names. */
  modelMaxLength: number | null
  specialTokens: { id: number; token: string; roles: string[] }[]
  longestTokens: TokenReport[]
  /** Names of the chat templates; none without one. */
  chatTemplates: string[]
  sample: { text: string; ids: number[]; tokens: string[]; decoded: string }
}

/** Prints what a tokenizer is made of. Throws as `loadTokenizer`. */
export async function inspect(path: string, text: string, { longest, json }: InspectOptions): Promise<void> {
  const report = reportOn(path, await loadTokenizer(path), text, longest)
  if (json) console.log(JSON.stringify(report))
  else print(report)
}

function reportOn(path: string, tokenizer: Tokenizer, text: string, longest: number): Report {
  const { config } = tokenizer
  const { ids, tokens } = tokenizer.encode(text)
  const roles = Object.keys(config).filter(key => key.endsWith('_token') && tokenizer.specialToken(key) !== undefined)
  const { model_max_length: maxLength } = config
  return {
    path,
    vocabSize: tokenizer.vocabSize,
    pipeline: {
      normalizer: describePart(tokenizer.normalizer?.toJSON()),
      preTokenizer: describePart(tokenizer.preTokenizer?.toJSON()),
      model: describeModel(tokenizer),
      postProcessor: describePart(tokenizer.postProcessor?.toJSON()),
      decoder: describePart(tokenizer.decoder?.toJSON()),
    },
    // transformers writes 1e30 where there is no limit
    modelMaxLength: typeof maxLength === 'number' && maxLength <= Number.MAX_SAFE_INTEGER ? maxLength : null,
    specialTokens: tokenizer.addedTokens
      .filter(({ special }) => special)
      .map(({ id, content }) => ({
        id,
        token: content,
        roles: roles.filter(role => tokenizer.specialToken(role) === content),
      })),
    longestTokens: longestTokens(tokenizer, longest),
    chatTemplates: [...tokenizer.chatTemplates.keys()],
    sample: { text, ids: [...ids], tokens, decoded: tokenizer.decode(ids) },
  }
}

/** `Sequence(NFD, Lowercase)`: the types of a part's object in tokenizer.json. */
function describePart(part: Record<string, unknown> | undefined): string | null {
  if (!part) return null
  const parts = Object.values(part).find(isListOfParts)
  return `${String(part.type)}${parts ? `(${parts.map(describePart).join(', ')})` : ''}`
}

function isListOfParts(value: unknown): value is Record<string, unknown>[] {
  return Array.isArray(value) && value.length > 0 && value.every(item => typeof item === 'object' && 'type' in item)
}

function describeModel({ model }: Tokenizer): string {
  const { type, merges, byte_fallback: byteFallback } = model.toJSON()
  const details = [
    `${formatCount(model.vocabulary.size)} tokens`,
    ...(Array.isArray(merges) ? [`${formatCount(merges.length)} merges`] : []),
    ...(byteFallback === true ? ['byte fallback'] : []),
  ]
  return `${String(type)}, ${details.join(', ')}`
}

/** The tokens of the model's own with the longest texts; of equal ones the first. */
function longestTokens(tokenizer: Tokenizer, count: number): TokenReport[] {
  const added = new Set(tokenizer.addedTokens.map(({ id }) => id))
  const tokens: (TokenReport & { length: number })[] = []
  for (const [token, id] of tokenizer.model.vocabulary.entries()) {
    if (added.has(id)) continue
    const text = tokenizer.decode([id])
    tokens.push({ id, token, text, length: [...text].length })
  }
  tokens.sort((a, b) => b.length - a.length)
  return tokens.slice(0, count).map(({ id, token, text }) => ({ id, token, text }))
}

function print(report: Report): void {
  const { pipeline, sample } = report
  console.log(`${bold(report.path)}: ${formatCount(report.vocabSize)} tokens\n`)
  console.log(
    formatTable([
      ['  normalizer', pipeline.normalizer ?? 'none'],
      ['  pre-tokenizer', pipeline.preTokenizer ?? 'none'],
      ['  model', pipeline.model],
      ['  post-processor', pipeline.postProcessor ?? 'none'],
      ['  decoder', pipeline.decoder ?? 'none'],
      ['  longest input', report.modelMaxLength === null ? 'no limit named' : formatCount(report.modelMaxLength)],
      ['  chat template', report.chatTemplates.join(', ') || 'none'],
    ]),
  )
  section('special tokens', report.specialTokens, ({ id, token, roles }) => [id, token, dim(roles.join(', '))])
  section('longest tokens', report.longestTokens, ({ id, text }) => [id, JSON.stringify(text)])
  console.log(`\n${bold('sample')}  ${sample.text}`)
  console.log(formatTable(sample.ids.map((id, i) => [id, JSON.stringify(sample.tokens[i])])))
  if (sample.decoded !== sample.text) console.log(`decodes to  ${sample.decoded}`)
}

function section<T>(title: string, items: readonly T[], row: (item: T) => (string | number)[]): void {
  if (items.length > 0) console.log(`\n${bold(title)}\n${formatTable(items.map(row))}`)
}
