import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'

/** A split, or the rows of it between two places; negative places count from its end. */
export interface SplitSlice {
  split: string
  from: number | undefined
  to: number | undefined
  /** What the places are counted in. */
  unit: '%' | 'rows'
  /** 'closest' rounds percentages to rows, 'pct1_dropremainder' takes multiples of a hundredth of the rows, rounded down. */
  rounding: 'closest' | 'pct1_dropremainder'
}

/** The splits that there are. */
export interface SplitNames {
  /** What messages call the data set. */
  where: string
  names: readonly string[]
}

const place = String.raw`(-?\d+(?:_\d+)*)(%)?`
const pattern = new RegExp(String.raw`^([^[\]()+\s]+)(?:\[(?:${place})?:(?:${place})?\])?(?:\((.*)\))?$`)

/**
 * Reads what HF's `datasets` takes for a split, with the numbers of its `ReadInstruction`: `train`, `train[:10%]`,
 * `train[100:200]`, `train[-5%:]+test[:50]`, or `all`. Throws HEED_ARGUMENT_INVALID.
 */
export function parseSplit(spec: string, { where, names }: SplitNames): SplitSlice[] {
  const invalid = (found: string, rule: string): HeedError =>
    new HeedError('HEED_ARGUMENT_INVALID', `${where}: split is ${show(found)}, expected ${rule}.`)
  if (spec === 'all' && !names.includes(spec)) return names.map(split => whole(split))
  return spec.split('+').map(part => {
    const text = part.trim()
    const [match, split, from, fromUnit, to, toUnit, rounding = 'closest'] = pattern.exec(text) ?? []
    if (match === undefined) {
      const forms = 'a name or some rows of it, such as train[:10%], train[100:200] or train[-5%:]+test'
      throw invalid(spec, `${forms}, of the splits ${names.join(', ')}`)
    }
    if (!names.includes(split!)) throw invalid(split!, `one of ${names.join(', ')}`)
    const unit = fromUnit || toUnit ? '%' : 'rows'
    const [start, end] = [from, to].map(digits => (digits ? Number(digits.replaceAll('_', '')) : undefined))
    if (unit === '%' && [start, end].some(percent => Math.abs(percent ?? 0) > 100)) {
      throw invalid(spec, 'percentages from -100 to 100')
    }
    const isRounded = text.endsWith(')')
    if (isRounded && !(unit === '%' && isRounding(rounding))) {
      throw invalid(spec, `nothing but ${roundings.map(name => `(${name})`).join(' or ')} after percentages`)
    }
    return { ...whole(split!), from: start, to: end, unit, rounding: rounding as SplitSlice['rounding'] }
  })
}

const roundings = ['closest', 'pct1_dropremainder'] as const
const isRounding = (name: string): boolean => roundings.some(rounding => rounding === name)

function whole(split: string): SplitSlice {
  return { split, from: undefined, to: undefined, unit: 'rows', rounding: 'closest' }
}

/** Whether some rows may be left out. */
export function isPart({ from, to }: SplitSlice): boolean {
  return from !== undefined || to !== undefined
}

/** Whether a slice depends on how many rows the split has. */
export function isRelative({ from = 0, to = 0, unit }: SplitSlice): boolean {
  return unit === '%' || from < 0 || to < 0
}

/** The first row of a slice and the one after its last. Throws HEED_ARGUMENT_INVALID when rounding leaves no rows. */
export function rangeOf({ split, from, to, unit, rounding }: SplitSlice, numRows: number): [from: number, to: number] {
  if (unit === '%' && rounding === 'pct1_dropremainder' && numRows < 100) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `split ${show(split)}: it has ${numRows} rows, expected 100 at least for pct1_dropremainder, which would leave none. Leave it out.`,
    )
  }
  const rows = (place: number): number => {
    if (unit === 'rows') return place
    return rounding === 'closest' ? roundedHalfEven((place * numRows) / 100) : place * Math.trunc(numRows / 100)
  }
  const within = (place: number): number => Math.min(place < 0 ? Math.max(numRows + place, 0) : place, numRows) + 0 // -0 is 0
  const start = from === undefined ? 0 : within(rows(from))
  return [start, Math.max(start, to === undefined ? numRows : within(rows(to)))]
}

/** As Python's `round`: 0.5 and 2.5 become 0 and 2. */
function roundedHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}
