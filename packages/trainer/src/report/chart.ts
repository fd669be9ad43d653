import type { Point, Surface } from './surface.ts'

export interface Curve {
  /** Empty where the title says it. */
  name: string
  color: string
  points: readonly Point[]
  /** Marks the points themselves, for curves of few. */
  hasDots?: boolean
}

/** The colours of a chart but for its curves. */
export interface ChartColors {
  ink: string
  faint: string
  grid: string
}

/** Curves against the step. */
export interface Chart {
  title: string
  /** Of the vertical axis, written upwards; none when left out. */
  yLabel?: string
  curves: readonly Curve[]
  width: number
  height: number
  colors: ChartColors
  /** Stands where the curves would, as long as there are none. */
  emptyText: string
  /** Where the names of the curves with their last values stand: among the curves, or beside the title. */
  legend: 'inside' | 'head'
  /** Shows a last value. */
  format(value: number): string
}

const margin = { left: 64, right: 24, top: 48, bottom: 52 }

/** Round numbers, about `count` of them, that lie within a range: steps of 1, 2 or 5 times a power of ten. */
export function ticks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough * 0.999)!
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** Room for curves that are flat or a single point too. */
function rangeOf(values: readonly number[]): [low: number, high: number] {
  const low = values.reduce((least, value) => Math.min(least, value))
  const high = values.reduce((most, value) => Math.max(most, value))
  const pad = high > low ? (high - low) * 0.05 : Math.max(Math.abs(low) * 0.1, 0.1)
  return [low - pad, high + pad]
}

/** Draws axes, curves, and the last value of each. */
export function drawChart(surface: Surface, chart: Chart): void {
  const { title, yLabel, curves, width, height, colors } = chart
  const { ink, faint, grid } = colors
  const [right, bottom] = [width - margin.right, height - margin.bottom]
  surface.text([margin.left, 28], title, { size: 17, color: ink, isBold: true })
  if (curves.length === 0) {
    surface.text([width / 2, height / 2], chart.emptyText, { size: 14, color: faint, anchor: 'middle' })
    return
  }
  const points = curves.flatMap(curve => curve.points)
  const [low, high] = rangeOf(points.map(([, y]) => y))
  const [first, last] = [0, points.reduce((most, [x]) => Math.max(most, x), 1)]
  const place = ([x, y]: Point): Point => [
    margin.left + ((x - first) / (last - first)) * (right - margin.left),
    bottom - ((y - low) / (high - low)) * (bottom - margin.top),
  ]

  for (const value of ticks(low, high, height / 80)) {
    const [, y] = place([first, value])
    surface.line(
      [
        [margin.left, y],
        [right, y],
      ],
      { color: grid, width: 1 },
    )
    surface.text([margin.left - 8, y + 4], String(value), { size: 12, color: faint, anchor: 'end' })
  }
  for (const value of ticks(first, last, width / 100)) {
    const [x] = place([value, low])
    surface.line(
      [
        [x, bottom],
        [x, bottom + 4],
      ],
      { color: faint, width: 1 },
    )
    surface.text([x, bottom + 18], String(value), { size: 12, color: faint, anchor: 'middle' })
  }
  surface.line(
    [
      [margin.left, margin.top],
      [margin.left, bottom],
      [right, bottom],
    ],
    { color: faint, width: 1 },
  )
  surface.text([(margin.left + right) / 2, height - 12], 'step', { size: 13, color: ink, anchor: 'middle' })
  const middle = (margin.top + bottom) / 2
  if (yLabel) surface.text([18, middle], yLabel, { size: 13, color: ink, anchor: 'middle', isVertical: true })

  for (const { color, points, hasDots } of curves) {
    surface.line(points.map(place), { color, width: 1.8 })
    if (hasDots) for (const point of points) surface.dot(place(point), 3, color)
  }
  drawLegend(surface, chart, right)
}

function drawLegend(surface: Surface, { curves, legend, format, colors }: Chart, right: number): void {
  const { ink } = colors
  const isInside = legend === 'inside'
  for (const [index, { name, color, points }] of curves.entries()) {
    const value = format(points.at(-1)![1])
    if (name === '') {
      surface.text([right, 28], value, { size: 13, color: ink, anchor: 'end' })
      continue
    }
    const x = isInside ? right - 190 : right - 170 * (curves.length - index)
    const y = isInside ? margin.top + 12 + 20 * index : 28
    surface.line(
      [
        [x, y - 4],
        [x + 22, y - 4],
      ],
      { color, width: 3 },
    )
    surface.text([x + 30, y], `${name} ${value}`, { size: 13, color: ink })
  }
}
