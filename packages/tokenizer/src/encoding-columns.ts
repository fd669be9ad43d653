/** The parallel arrays of an encoding, one entry a token. */
export interface EncodingColumns {
  readonly ids: readonly number[]
  readonly typeIds: readonly number[]
  /** Flat pairs: start and end of each token in the original text. */
  readonly spans: readonly number[]
  /** Index of the piece each token came from, -1 for none. */
  readonly words: readonly number[]
  readonly attentionMask: readonly number[]
  readonly specialTokensMask: readonly number[]
  /** The text of each token where it differs from that of its id; null when none does. */
  readonly values: TokenValues
}

export type TokenValues = readonly (string | undefined)[] | null

export const noColumns: EncodingColumns = {
  ids: [],
  typeIds: [],
  spans: [],
  words: [],
  attentionMask: [],
  specialTokensMask: [],
  values: null,
}

export function filled(count: number, value: number): number[] {
  return new Array<number>(count).fill(value)
}

/** Makes the columns of given ids. */
export interface ColumnSource {
  typeIds(): readonly number[]
  spans(): readonly number[]
  words(): readonly number[]
  attentionMask(): readonly number[]
  specialTokensMask(): readonly number[]
  values(): TokenValues
}

/** Tokens in a row, with their texts where these differ from those of their ids. */
interface TokenRun {
  readonly ids: readonly number[]
  readonly values?: TokenValues
}

/** Makes the columns of tokens that came from one text, given run by run. */
export abstract class TextSource<Run extends TokenRun> implements ColumnSource {
  constructor(
    protected readonly runs: readonly Run[],
    protected readonly length: number,
    private readonly typeId: number,
  ) {}

  abstract spans(): readonly number[]
  abstract words(): readonly number[]

  typeIds(): readonly number[] {
    return filled(this.length, this.typeId)
  }

  attentionMask(): readonly number[] {
    return filled(this.length, 1)
  }

  specialTokensMask(): readonly number[] {
    return filled(this.length, 0)
  }

  values(): TokenValues {
    return joinValues(this.runs)
  }
}

/** Columns of which all but ids are made when they are first asked for: most callers want ids alone. */
export class DeferredColumns implements EncodingColumns {
  private madeTypeIds: readonly number[] | undefined
  private madeSpans: readonly number[] | undefined
  private madeWords: readonly number[] | undefined
  private madeAttentionMask: readonly number[] | undefined
  private madeSpecialTokensMask: readonly number[] | undefined
  private madeValues: TokenValues | undefined

  constructor(
    readonly ids: readonly number[],
    private readonly source: ColumnSource,
  ) {}

  get typeIds(): readonly number[] {
    this.madeTypeIds ??= this.source.typeIds()
    return this.madeTypeIds
  }

  get spans(): readonly number[] {
    this.madeSpans ??= this.source.spans()
    return this.madeSpans
  }

  get words(): readonly number[] {
    this.madeWords ??= this.source.words()
    return this.madeWords
  }

  get attentionMask(): readonly number[] {
    this.madeAttentionMask ??= this.source.attentionMask()
    return this.madeAttentionMask
  }

  get specialTokensMask(): readonly number[] {
    this.madeSpecialTokensMask ??= this.source.specialTokensMask()
    return this.madeSpecialTokensMask
  }

  get values(): TokenValues {
    if (this.madeValues === undefined) this.madeValues = this.source.values()
    return this.madeValues
  }
}

type NumberColumn = Exclude<keyof EncodingColumns, 'values'>

class JoinedSource implements ColumnSource {
  constructor(private readonly parts: readonly EncodingColumns[]) {}

  typeIds(): readonly number[] {
    return joined(this.parts, 'typeIds')
  }

  spans(): readonly number[] {
    return joined(this.parts, 'spans')
  }

  words(): readonly number[] {
    return joined(this.parts, 'words')
  }

  attentionMask(): readonly number[] {
    return joined(this.parts, 'attentionMask')
  }

  specialTokensMask(): readonly number[] {
    return joined(this.parts, 'specialTokensMask')
  }

  values(): TokenValues {
    return joinValues(this.parts)
  }
}

function joined(parts: readonly EncodingColumns[], name: NumberColumn): number[] {
  const [first, ...others] = parts.map(part => part[name])
  return (first ?? []).concat(...others)
}

function joinValues(runs: readonly TokenRun[]): TokenValues {
  if (runs.every(({ values }) => !values)) return null
  return runs.flatMap(({ ids, values }) => ids.map((_, i) => values?.[i]))
}

/** The ids of parts one after the other. */
export function joinIds(parts: readonly { readonly ids: readonly number[] }[]): number[] {
  let count = 0
  for (let p = 0; p < parts.length; p++) count += parts[p]!.ids.length
  const joined = new Array<number>(count)
  let at = 0
  for (let p = 0; p < parts.length; p++) {
    const { ids } = parts[p]!
    for (let t = 0; t < ids.length; t++) joined[at++] = ids[t]!
  }
  return joined
}

class SpecialSource implements ColumnSource {
  constructor(
    private readonly tokens: readonly string[],
    private readonly typeId: number,
  ) {}

  typeIds(): readonly number[] {
    return filled(this.tokens.length, this.typeId)
  }

  spans(): readonly number[] {
    return filled(2 * this.tokens.length, 0)
  }

  words(): readonly number[] {
    return filled(this.tokens.length, -1)
  }

  attentionMask(): readonly number[] {
    return filled(this.tokens.length, 1)
  }

  specialTokensMask(): readonly number[] {
    return filled(this.tokens.length, 1)
  }

  values(): TokenValues {
    return this.tokens
  }
}

/** The columns of special tokens, which came from no text. */
export function specialColumns(ids: readonly number[], tokens: readonly string[], typeId: number): EncodingColumns {
  return new DeferredColumns(ids, new SpecialSource(tokens, typeId))
}

/** The columns of parts one after the other. */
export function joinColumns(parts: readonly EncodingColumns[]): EncodingColumns {
  return parts.length <= 1 ? (parts[0] ?? noColumns) : new DeferredColumns(joinIds(parts), new JoinedSource(parts))
}

class SlicedSource implements ColumnSource {
  constructor(
    private readonly whole: EncodingColumns,
    private readonly start: number,
    private readonly end: number,
  ) {}

  typeIds(): readonly number[] {
    return this.whole.typeIds.slice(this.start, this.end)
  }

  spans(): readonly number[] {
    return this.whole.spans.slice(2 * this.start, 2 * this.end)
  }

  words(): readonly number[] {
    return this.whole.words.slice(this.start, this.end)
  }

  attentionMask(): readonly number[] {
    return this.whole.attentionMask.slice(this.start, this.end)
  }

  specialTokensMask(): readonly number[] {
    return this.whole.specialTokensMask.slice(this.start, this.end)
  }

  values(): TokenValues {
    return this.whole.values?.slice(this.start, this.end) ?? null
  }
}

/** The columns of the tokens `[start, end)`. */
export function sliceColumns(columns: EncodingColumns, start: number, end: number): EncodingColumns {
  return new DeferredColumns(columns.ids.slice(start, end), new SlicedSource(columns, start, end))
}

export interface ColumnChange {
  readonly typeId?: number | undefined
  readonly spans?: (() => readonly number[]) | undefined
}

class ChangedSource implements ColumnSource {
  constructor(
    private readonly base: EncodingColumns,
    private readonly change: ColumnChange,
  ) {}

  typeIds(): readonly number[] {
    const { typeId } = this.change
    return typeId === undefined ? this.base.typeIds : filled(this.base.ids.length, typeId)
  }

  spans(): readonly number[] {
    return this.change.spans?.() ?? this.base.spans
  }

  words(): readonly number[] {
    return this.base.words
  }

  attentionMask(): readonly number[] {
    return this.base.attentionMask
  }

  specialTokensMask(): readonly number[] {
    return this.base.specialTokensMask
  }

  values(): TokenValues {
    return this.base.values
  }
}

/** The same tokens with another type or other spans. */
export function changeColumns(columns: EncodingColumns, change: ColumnChange): EncodingColumns {
  if (change.typeId === undefined && !change.spans) return columns
  return new DeferredColumns(columns.ids, new ChangedSource(columns, change))
}
