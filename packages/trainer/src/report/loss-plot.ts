import { checkOptionNames, writeFileAtomic } from '@heed/tensor-backend'
import { onFirstProcess, type TrainerCallback } from '../callbacks.ts'
import { namesOf } from '../checks.ts'
import type { LogRecord } from '../trainer-state.ts'
import { type Chart, drawChart } from './chart.ts'
import { PngSurface } from './png.ts'
import type { Point } from './surface.ts'
import { SvgSurface } from './svg.ts'

export interface LossPlotOptions {
  title?: string
  /** In pixels; the PNG has twice as many each way. */
  width?: number
  height?: number
}

const colors = { ink: '#1f2933', faint: '#6b7785', grid: '#e3e8ee' }

/** The training and validation losses of a log. */
function lossChart(history: readonly LogRecord[], options: Required<LossPlotOptions>): Chart {
  const curves = [
    { name: 'training', color: '#2f6fde', points: pointsOf(history, 'loss') },
    { name: 'validation', color: '#e0662b', points: pointsOf(history, 'evalLoss'), hasDots: true },
  ]
  return {
    ...options,
    yLabel: 'loss (nats)',
    curves: curves.filter(curve => curve.points.length > 0),
    ...{ colors, emptyText: 'no losses logged yet', legend: 'inside' },
    format: value => value.toFixed(3),
  }
}

/** What a log has under a key, at its steps. */
export function pointsOf(history: readonly LogRecord[], key: string): Point[] {
  return history.flatMap(record => (Number.isFinite(record[key]) ? [[record.step, record[key]!] as const] : []))
}

const plotOptions = namesOf<LossPlotOptions>({ title: true, width: true, height: true })

function complete(options: LossPlotOptions): Required<LossPlotOptions> {
  checkOptionNames('lossPlot', options, plotOptions)
  const { title = 'Loss', width = 800, height = 480 } = options
  return { title, width, height }
}

/** The losses of a log against the step, as an SVG document. */
export function lossPlotSvg(history: readonly LogRecord[], options: LossPlotOptions = {}): string {
  const all = complete(options)
  const surface = new SvgSurface(all.width, all.height)
  drawChart(surface, lossChart(history, all))
  return surface.toString()
}

/** The same picture as a PNG file; it needs no font. */
export async function lossPlotPng(history: readonly LogRecord[], options: LossPlotOptions = {}): Promise<Uint8Array> {
  const all = complete(options)
  const surface = new PngSurface(all.width, all.height)
  drawChart(surface, lossChart(history, all))
  return surface.encode()
}

/** Writes `loss.svg` and `loss.png` to a folder when training ends, also when it was stopped. */
export function lossPlot(folder: string, options: LossPlotOptions = {}): TrainerCallback {
  const all = complete(options) // before hours of training
  return onFirstProcess({
    async onTrainEnd({ state }) {
      await writeFileAtomic(`${folder}/loss.svg`, lossPlotSvg(state.logHistory, all))
      await writeFileAtomic(`${folder}/loss.png`, await lossPlotPng(state.logHistory, all))
    },
  })
}
