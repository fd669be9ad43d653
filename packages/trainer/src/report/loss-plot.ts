import { writeFileAtomic } from '@heed/tensor-backend'
import { onFirstProcess, type TrainerCallback } from '../callbacks.ts'
import type { LogRecord } from '../trainer-state.ts'
import { PngSurface } from './png.ts'
import type { Point, Surface } from './surface.ts'
import { SvgSurface } from './svg.ts'

export interface LossPlotOptions {
  title?: string
  /** In pixels; the PNG has twice as many each way. */
  width?: number
  height?: number
}

interface Curve {
  name: string
  color: string
  points: Point[]
  hasDots: boolean
}

const ink = '#1f2933'
const faint = '#6b7785'
const grid = '#e3e8ee'
const margin = { left: 64, right: 24, top: 48, bottom: 52 }

/** The training and validation losses of a log. */
function curvesOf(history: readonly LogRecord[]): Curve[] {
  const points = (key: string): Point[] =>
    history.flatMap(record => (Number.isFinite(record[key]) ? [[record.step, record[key]!] as const] : []))
  const curves = [
    { name: 'training', color: '#2f6fde', points: points('loss'), hasDots: false },
    { name: 'validation', color: '#e0662b', points: points('evalLoss'), hasDots: true },
  ]
  return curves.filter(curve => curve.points.length > 0)
}

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
function rangeOf(values: number[]): [low: number, high: number] {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const pad = high > low ? (high - low) * 0.05 : Math.max(Math.abs(low) * 0.1, 0.1)
  return [low - pad, high + pad]
}

function draw(surface: Surface, history: readonly LogRecord[], options: Required<LossPlotOptions>): void {
  const { title, width, height } = options
  const curves = curvesOf(history)
  const [right, bottom] = [width - margin.right, height - margin.bottom]
  surface.text([margin.left, 28], title, { size: 17, color: ink, isBold: true })
  if (curves.length === 0) {
    surface.text([width / 2, height / 2], 'no losses logged yet', { size: 14, color: faint, anchor: 'middle' })
    return
  }
  const points = curves.flatMap(curve => curve.points)
  const [low, high] = rangeOf(points.map(([, y]) => y))
  const [first, last] = [0, Math.max(1, ...points.map(([x]) => x))]
  const place = ([x, y]: Point): Point => [
    margin.left + ((x - first) / (last - first)) * (right - margin.left),
    bottom - ((y - low) / (high - low)) * (bottom - margin.top),
  ]

  for (const value of ticks(low, high, 6)) {
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
  for (const value of ticks(first, last, 8)) {
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
  surface.text([18, middle], 'loss (nats)', { size: 13, color: ink, anchor: 'middle', isVertical: true })

  for (const { color, points, hasDots } of curves) {
    surface.line(points.map(place), { color, width: 1.8 })
    if (hasDots) for (const point of points) surface.dot(place(point), 3, color)
  }
  for (const [index, { name, color, points }] of curves.entries()) {
    const y = margin.top + 12 + 20 * index
    surface.line(
      [
        [right - 190, y - 4],
        [right - 168, y - 4],
      ],
      { color, width: 3 },
    )
    const final = points.at(-1)![1].toFixed(3)
    surface.text([right - 160, y], `${name} ${final}`, { size: 13, color: ink })
  }
}

const complete = ({ title = 'Loss', width = 800, height = 480 }: LossPlotOptions): Required<LossPlotOptions> => ({
  title,
  width,
  height,
})

/** The losses of a log against the step, as an SVG document. */
export function lossPlotSvg(history: readonly LogRecord[], options: LossPlotOptions = {}): string {
  const all = complete(options)
  const surface = new SvgSurface(all.width, all.height)
  draw(surface, history, all)
  return surface.toString()
}

/** The same picture as a PNG file; it needs no font. */
export async function lossPlotPng(history: readonly LogRecord[], options: LossPlotOptions = {}): Promise<Uint8Array> {
  const all = complete(options)
  const surface = new PngSurface(all.width, all.height)
  draw(surface, history, all)
  return surface.encode()
}

/** Writes `loss.svg` and `loss.png` to a folder when training ends, also when it was stopped. */
export function lossPlot(folder: string, options: LossPlotOptions = {}): TrainerCallback {
  return onFirstProcess({
    async onTrainEnd({ state }) {
      await writeFileAtomic(`${folder}/loss.svg`, lossPlotSvg(state.logHistory, options))
      await writeFileAtomic(`${folder}/loss.png`, await lossPlotPng(state.logHistory, options))
    },
  })
}
