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

/** Columns of which all but ids are made when they are first asked for: most callers want ids alone. */
export abstract class DeferredColumns implements EncodingColumns {
  private madeTypeIds: readonly number[] | undefined
  private madeSpans: readonly number[] | undefined
  private madeWords: readonly number[] | undefined
  private madeAttentionMask: readonly number[] | undefined
  private madeSpecialTokensMask: readonly number[] | undefined
  private madeValues: TokenValues | undefined

  constructor(readonly ids: readonly number[]) {}

  get typeIds(): readonly number[] {
    this.madeTypeIds ??= this.makeTypeIds()
    return this.madeTypeIds
  }

  get spans(): readonly number[] {
    this.madeSpans ??= this.makeSpans()
    return this.madeSpans
  }

  get words(): readonly number[] {
    this.madeWords ??= this.makeWords()
    return this.madeWords
  }

  get attentionMask(): readonly number[] {
    this.madeAttentionMask ??= this.makeAttentionMask()
    return this.madeAttentionMask
  }

  get specialTokensMask(): readonly number[] {
    this.madeSpecialTokensMask ??= this.makeSpecialTokensMask()
    return this.madeSpecialTokensMask
  }

  get values(): TokenValues {
    if (this.madeValues === undefined) this.madeValues = this.makeValues()
    return this.madeValues
  }

  protected abstract makeTypeIds(): readonly number[]
  protected abstract makeSpans(): readonly number[]
  protected abstract makeWords(): readonly number[]
  protected abstract makeAttentionMask(): readonly number[]
  protected abstract makeSpecialTokensMask(): readonly number[]
  protected abstract makeValues(): TokenValues
}

type NumberColumn = Exclude<keyof EncodingColumns, 'values'>

class JoinedColumns extends DeferredColumns {
  constructor(private readonly parts: readonly EncodingColumns[]) {
    super(joined(parts, 'ids'))
  }

  protected makeTypeIds(): readonly number[] {
    return joined(this.parts, 'typeIds')
  }

  protected makeSpans(): readonly number[] {
    return joined(this.parts, 'spans')
  }

  protected makeWords(): readonly number[] {
    return joined(this.parts, 'words')
  }

  protected makeAttentionMask(): readonly number[] {
    return joined(this.parts, 'attentionMask')
  }

  protected makeSpecialTokensMask(): readonly number[] {
    return joined(this.parts, 'specialTokensMask')
  }

  protected makeValues(): TokenValues {
    if (this.parts.every(({ values }) => values === null)) return null
    return this.parts.flatMap(({ ids, values }) => ids.map((_, i) => values?.[i]))
  }
}

function joined(parts: readonly EncodingColumns[], name: NumberColumn): number[] {
  const [first, ...others] = parts.map(part => part[name])
  return (first ?? []).concat(...others)
}

/** The columns of parts one after the other. */
export function joinColumns(parts: readonly EncodingColumns[]): EncodingColumns {
  const present = parts.filter(part => part.ids.length > 0)
  return present.length <= 1 ? (present[0] ?? noColumns) : new JoinedColumns(present)
}

class SlicedColumns extends DeferredColumns {
  constructor(
    private readonly whole: EncodingColumns,
    private readonly start: number,
    private readonly end: number,
  ) {
    super(whole.ids.slice(start, end))
  }

  protected makeTypeIds(): readonly number[] {
    return this.whole.typeIds.slice(this.start, this.end)
  }

  protected makeSpans(): readonly number[] {
    return this.whole.spans.slice(2 * this.start, 2 * this.end)
  }

  protected makeWords(): readonly number[] {
    return this.whole.words.slice(this.start, this.end)
  }

  protected makeAttentionMask(): readonly number[] {
    return this.whole.attentionMask.slice(this.start, this.end)
  }

  protected makeSpecialTokensMask(): readonly number[] {
    return this.whole.specialTokensMask.slice(this.start, this.end)
  }

  protected makeValues(): TokenValues {
    return this.whole.values?.slice(this.start, this.end) ?? null
  }
}

/** The columns of the tokens `[start, end)`. */
export function sliceColumns(columns: EncodingColumns, start: number, end: number): EncodingColumns {
  return new SlicedColumns(columns, start, end)
}

export interface ColumnChange {
  readonly typeId?: number | undefined
  readonly spans?: (() => readonly number[]) | undefined
}

class ChangedColumns extends DeferredColumns {
  constructor(
    private readonly base: EncodingColumns,
    private readonly change: ColumnChange,
  ) {
    super(base.ids)
  }

  protected makeTypeIds(): readonly number[] {
    const { typeId } = this.change
    return typeId === undefined ? this.base.typeIds : filled(this.ids.length, typeId)
  }

  protected makeSpans(): readonly number[] {
    return this.change.spans?.() ?? this.base.spans
  }

  protected makeWords(): readonly number[] {
    return this.base.words
  }

  protected makeAttentionMask(): readonly number[] {
    return this.base.attentionMask
  }

  protected makeSpecialTokensMask(): readonly number[] {
    return this.base.specialTokensMask
  }

  protected makeValues(): TokenValues {
    return this.base.values
  }
}

/** The same tokens with another type or other spans. */
export function changeColumns(columns: EncodingColumns, change: ColumnChange): EncodingColumns {
  return change.typeId === undefined && !change.spans ? columns : new ChangedColumns(columns, change)
}
