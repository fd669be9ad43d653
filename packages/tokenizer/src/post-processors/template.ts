import { Encoding, type TokenLookup } from '../encoding.ts'
import { HeedError } from '../errors.ts'
import type { PostProcessor } from './post-processor.ts'

/** One step of a template, in HF's form. */
export type TemplatePiece =
  | { readonly Sequence: { readonly id: 'A' | 'B'; readonly type_id: number } }
  | { readonly SpecialToken: { readonly id: string; readonly type_id: number } }

/** A name in templates and the tokens it stands for. */
export interface TemplateToken {
  readonly id: string
  readonly ids: readonly number[]
  readonly tokens: readonly string[]
}

export interface TemplateOptions {
  /** A list of steps, or `[CLS] $A [SEP]` for short, where `:1` behind a step is its type. */
  readonly single: string | readonly TemplatePiece[]
  /** Default `$A:0 $B:1`. */
  readonly pair?: string | readonly TemplatePiece[]
  /** Pairs `[token, id]`, or HF's form. */
  readonly specialTokens?: readonly (readonly [token: string, id: number] | TemplateToken)[]
}

/** Puts special tokens around one text or two by a template. Same result as `TemplateProcessing` of HF tokenizers. */
export class TemplatePostProcessor implements PostProcessor {
  readonly single: readonly TemplatePiece[]
  readonly pair: readonly TemplatePiece[]
  private readonly specialTokens: ReadonlyMap<string, TemplateToken>

  /** Throws HEED_CONFIG_INVALID. */
  constructor({ single, pair = '$A:0 $B:1', specialTokens = [] }: TemplateOptions) {
    this.single = typeof single === 'string' ? parseTemplate(single) : single
    this.pair = typeof pair === 'string' ? parseTemplate(pair) : pair
    const complete = specialTokens.map(given =>
      'ids' in given ? given : { id: given[0], ids: [given[1]], tokens: [given[0]] },
    )
    this.specialTokens = new Map(complete.map(token => [token.id, token]))
    for (const piece of [...this.single, ...this.pair]) {
      if (!('SpecialToken' in piece) || this.specialTokens.has(piece.SpecialToken.id)) continue
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `TemplateProcessing: the template has ${JSON.stringify(piece.SpecialToken.id)}, expected one of its ` +
          'special tokens. Add it to them.',
      )
    }
  }

  addedTokens(isPair: boolean): number {
    return (isPair ? this.pair : this.single).reduce((sum, piece) => {
      return sum + ('SpecialToken' in piece ? this.specialTokens.get(piece.SpecialToken.id)!.ids.length : 0)
    }, 0)
  }

  process(encodings: readonly Encoding[], addSpecialTokens: boolean, lookup: TokenLookup): readonly Encoding[] {
    const result: Encoding[] = []
    for (const piece of encodings.length === 2 ? this.pair : this.single) {
      if ('Sequence' in piece) {
        const sequenceId = piece.Sequence.id === 'A' ? 0 : 1
        const encoding = encodings[sequenceId]
        if (encoding) result.push(encoding.with({ sequenceId, typeId: piece.Sequence.type_id }))
      } else if (addSpecialTokens) {
        const { ids, tokens } = this.specialTokens.get(piece.SpecialToken.id)!
        result.push(Encoding.special(ids, tokens, piece.SpecialToken.type_id, lookup))
      }
    }
    return result.length > 0 ? result : [Encoding.empty(lookup)]
  }

  toJSON(): Record<string, unknown> {
    const names = [...this.specialTokens.keys()].sort()
    return {
      type: 'TemplateProcessing',
      single: this.single,
      pair: this.pair,
      special_tokens: Object.fromEntries(names.map(name => [name, this.specialTokens.get(name)])),
    }
  }
}

/** Steps from their short form, `[CLS] $A [SEP]:1`. Throws HEED_CONFIG_INVALID. */
function parseTemplate(template: string): TemplatePiece[] {
  return template.split(' ').map(step => {
    const match = /^(\$[ABab]?|\$\d+|[^$:][^:]*)(?::(\d+))?$/.exec(step)
    if (!match) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `TemplateProcessing: a step is ${JSON.stringify(step)}, expected $A, $B or a special token, with an optional type ` +
          'as in $A:1. Correct the template.',
      )
    }
    const [, name, type] = match
    if (!name!.startsWith('$')) return { SpecialToken: { id: name!, type_id: Number(type ?? 0) } }
    const number = /\d+/.exec(name!)?.[0]
    const id = name!.toUpperCase() === '$B' ? 'B' : 'A'
    return { Sequence: { id, type_id: Number(type ?? number ?? 0) } }
  })
}
