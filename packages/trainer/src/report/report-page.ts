import { defaults, type TrainingArguments } from '../arguments.ts'
import type { Progress } from '../callbacks.ts'
import { DistilledModel } from '../distillation.ts'
import { LoraModel } from '../lora.ts'
import type { TrainableModel } from '../model.ts'
import { DpoModel } from '../preference.ts'
import type { LogRecord, TrainerState } from '../trainer-state.ts'
import { type Curve, drawChart } from './chart.ts'
import { pointsOf } from './loss-plot.ts'
import type { RunStatus, StepSamples } from './run-report.ts'
import type { Point } from './surface.ts'
import { escapeText, SvgSurface } from './svg.ts'

export interface ReportContent {
  args: TrainingArguments
  state: TrainerState
  model: TrainableModel
  progress: Progress
  status: RunStatus
  /** Why it failed. */
  reason?: string
  samples: readonly StepSamples[]
}

/** Seconds after which the page of a run that goes on loads itself again. */
const refreshSeconds = 15

/** Points of a curve that a page holds at most. */
const mostPoints = 600

/** Steps whose samples are shown, the newest. */
const mostSampled = 20

const size = { width: 620, height: 300 }
const colors = { ink: 'var(--ink)', faint: 'var(--faint)', grid: 'var(--grid)' }
const [first, second] = ['var(--first)', 'var(--second)']

const style = `
:root { color-scheme: light dark; --paper: #f6f8fa; --card: #ffffff; --ink: #1f2933; --faint: #6b7785; --grid: #e3e8ee; --first: #2f6fde; --second: #d4581c }
@media (prefers-color-scheme: dark) { :root { --paper: #12161b; --card: #1b2128; --ink: #e4e9ee; --faint: #93a0ad; --grid: #303943; --first: #6ba1ff; --second: #ff9a5c } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem }
.facts { display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin: 1rem 0 1.5rem; padding: 0 }
.facts div { display: flex; flex-direction: column-reverse }
.facts dt { color: var(--faint); font-size: .85rem }
.facts dd { margin: 0; font-size: 1.05rem; font-variant-numeric: tabular-nums }
.status { color: var(--faint) }
.failed { color: var(--second); font-weight: 600; overflow-wrap: anywhere }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1rem }
.charts > *, table, details { background: var(--card); border: 1px solid var(--grid); border-radius: .5rem }
.charts svg { width: 100%; height: auto; display: block; font-family: system-ui, sans-serif }
table { width: 100%; border-collapse: collapse; border-style: hidden; font-variant-numeric: tabular-nums }
.scroll { overflow-x: auto; border: 1px solid var(--grid); border-radius: .5rem; margin-bottom: 1rem }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem; border-bottom: 1px solid var(--grid); overflow-wrap: anywhere }
th { color: var(--faint); font-weight: 500 }
th[scope=row] { width: 16rem }
td:first-child, thead th { white-space: nowrap; overflow-wrap: normal }
td.text { white-space: pre-wrap; min-width: 12rem }
td.text b { color: var(--faint); font-weight: 400 }
details { padding: .5rem .8rem; margin-bottom: 1rem }
details .scroll { margin-top: .6rem }
summary { cursor: pointer }
`

/** The report of a run as one HTML document that loads nothing. */
export function reportPage(content: ReportContent): string {
  const { state, args, status, samples } = content
  const name = args.outputDir!.split(/[\\/]/).findLast(part => part !== '') ?? ''
  const refresh = status === 'running' ? `<meta http-equiv="refresh" content="${refreshSeconds}">` : ''
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${refresh}<title>${escapeText(name)}: step ${count(state.globalStep)} of ${count(state.maxSteps)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeText(name)}</h1>
${statusLine(content)}
${factList(content)}
<div class="charts">
${chartsOf(state.logHistory).join('\n')}
</div>
${samplesSection(samples)}
${evaluationsSection(state.logHistory)}
${configurationSection(content)}
</body>
</html>
`
}

function statusLine({ status, reason, state }: ReportContent): string {
  const at = `${new Date().toISOString().slice(0, 19).replace('T', ' ')} UTC`
  if (status === 'failed')
    return `<p class="failed">failed after step ${count(state.globalStep)}: ${escapeText(reason ?? '')}</p>`
  const words = { running: 'training goes on', finished: 'finished', stopped: 'stopped before its last step' }[status]
  return `<p class="status">${words}; written at ${at}</p>`
}

function factList({ state, model, progress, status }: ReportContent): string {
  const parameters = Array.from(model.namedParameters(), ([, value]) => value)
  const trained = parameters.filter(({ trainable }) => trainable)
  const total = (variables: typeof parameters): number => variables.reduce((sum, each) => sum + each.size, 0)
  const last = (key: string): number | undefined => pointsOf(state.logHistory, key).at(-1)?.[1]
  const loss = last('loss')
  const evalLoss = last('evalLoss')
  const facts: Array<[name: string, value: string | undefined]> = [
    ['step', `${count(state.globalStep)} of ${count(state.maxSteps)}`],
    ['epoch', state.epoch.toFixed(2)],
    ['training loss', loss?.toFixed(4)],
    ['validation loss', evalLoss?.toFixed(4)],
    ['tokens seen', count(state.numInputTokensSeen)],
    ['tokens/s', count(last('tokensPerSecond') ?? progress.tokensPerSecond)],
    ['elapsed', duration(progress.elapsedSeconds)],
    ['left', status === 'running' && progress.secondsLeft !== undefined ? duration(progress.secondsLeft) : undefined],
    ['memory in use', progress.memoryBytes === undefined ? undefined : `${count(progress.memoryBytes / 2 ** 20)} MB`],
    ['trained parameters', count(total(trained))],
  ]
  const shown = facts.filter(([, value]) => value !== undefined)
  return `<dl class="facts">${shown.map(([key, value]) => `<div><dt>${key}</dt><dd>${value}</dd></div>`).join('')}</dl>`
}

/** What evaluations log beside what they measure. */
const timings = ['evalRuntime', 'evalSamplesPerSecond']

function chartsOf(history: readonly LogRecord[]): string[] {
  const one = (title: string, key: string, scale = 1): string => {
    const points = pointsOf(history, key).map(([step, value]): Point => [step, value * scale])
    return chart(title, [{ name: '', color: first, points, hasDots: key.startsWith('eval') }])
  }
  const keys = new Set(history.flatMap(record => Object.keys(record)))
  const metrics = [...keys].filter(key => /^eval[A-Z]/.test(key) && key !== 'evalLoss' && !timings.includes(key))
  const losses: Curve[] = [
    { name: 'training', color: first, points: pointsOf(history, 'loss') },
    { name: 'validation', color: second, points: pointsOf(history, 'evalLoss'), hasDots: true },
  ]
  return [
    chart('Loss (nats)', losses),
    ...metrics.map(key => one(titleOf(key), key)),
    one('Learning rate', 'learningRate'),
    one('Norm of the gradients', 'gradNorm'),
    one('Tokens/s', 'tokensPerSecond'),
    ...(keys.has('memoryBytes') ? [one('Memory in use (MB)', 'memoryBytes', 2 ** -20)] : []),
  ]
}

/** evalBitsPerByte -> Bits per byte. */
function titleOf(key: string): string {
  const words = key
    .slice('eval'.length)
    .replaceAll(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)
    .trim()
  return words[0]!.toUpperCase() + words.slice(1)
}

function chart(title: string, curves: readonly Curve[]): string {
  const surface = new SvgSurface(size.width, size.height)
  drawChart(surface, {
    title,
    curves: curves
      .filter(({ points }) => points.length > 0)
      .map(curve => ({ ...curve, points: thinned(curve.points) })),
    ...size,
    ...{ colors, emptyText: 'nothing logged yet', legend: 'head', format: shortNumber },
  })
  return surface.toElement(title)
}

/** At most `mostPoints` of the points: of each stretch its lowest and its highest, so that no spike is lost. */
function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= mostPoints) return points
  const stretch = Math.ceil((2 * points.length) / mostPoints)
  const kept: Point[] = []
  for (let start = 0; start < points.length; start += stretch) {
    const part = points.slice(start, start + stretch)
    const low = part.reduce((least, point) => (point[1] < least[1] ? point : least))
    const high = part.reduce((most, point) => (point[1] > most[1] ? point : most))
    kept.push(...(low[0] < high[0] ? [low, high] : low === high ? [low] : [high, low]))
  }
  return kept
}

function samplesSection(samples: readonly StepSamples[]): string {
  if (samples.length === 0) return ''
  const isTask = samples.some(({ samples: texts }) => texts.some(({ expected }) => expected !== undefined))
  const rows = samples
    .slice(-mostSampled)
    .reverse()
    .flatMap(({ step, samples: texts }) =>
      texts.map(({ prompt, text, expected = '' }) =>
        isTask
          ? `<tr><td>${count(step)}</td>${textCell(prompt)}${textCell(text)}${textCell(expected)}</tr>`
          : `<tr><td>${count(step)}</td><td class="text"><b>${escapeText(prompt)}</b>${escapeText(text)}</td></tr>`,
      ),
    )
  const columns = isTask ? ['step', 'given', 'made', 'expected'] : ['step', 'text']
  return `<h2>What it writes</h2>\n${table(columns, rows)}`
}

const textCell = (text: string): string => `<td class="text">${escapeText(text)}</td>`

function evaluationsSection(history: readonly LogRecord[]): string {
  const evaluations = history.filter(record => record.evalLoss !== undefined)
  if (evaluations.length === 0) return ''
  const keys = [...new Set(evaluations.flatMap(record => Object.keys(record)))].filter(key => key.startsWith('eval'))
  const rows = evaluations.map(record => {
    const values = keys.map(key => `<td>${record[key] === undefined ? '' : shortNumber(record[key])}</td>`)
    return `<tr><td>${count(record.step)}</td>${values.join('')}</tr>`
  })
  const columns = ['step', ...keys.map(titleOf)]
  return `<h2>Evaluations</h2>\n<details><summary>${count(rows.length)} in numbers</summary>${table(columns, rows)}</details>`
}

function configurationSection({ args, model }: ReportContent): string {
  const [changed, usual]: [Array<[string, unknown]>, Array<[string, unknown]>] = [[], []]
  for (const [key, value] of Object.entries(args)) {
    const isUsual = JSON.stringify(value) === JSON.stringify(defaults[key as keyof TrainingArguments])
    ;(isUsual ? usual : changed).push([key, value])
  }
  const models = configsOf(model).map(
    ([title, config]) => `<details><summary>${title}</summary>${settings(Object.entries(config))}</details>`,
  )
  return [
    '<h2>Configuration</h2>',
    settings(changed),
    `<details><summary>training arguments that are as usual</summary>${settings(usual)}</details>`,
    ...models,
  ].join('\n')
}

/** The config of a model, and of the model that an adapter or another way to learn is about. */
function configsOf(model: TrainableModel): Array<[title: string, config: object]> {
  if (model instanceof LoraModel) return [['adapter', model.config], ...configsOf(model.model)]
  if (model instanceof DpoModel || model instanceof DistilledModel) return configsOf(model.model)
  const { config } = model as { config?: unknown }
  return typeof config === 'object' && config !== null ? [['model', config]] : []
}

function settings(entries: ReadonlyArray<[key: string, value: unknown]>): string {
  const shown = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
  const rows = entries.map(
    ([key, value]) => `<tr><th scope="row">${escapeText(key)}</th><td>${escapeText(shown(value))}</td></tr>`,
  )
  return `<div class="scroll"><table><tbody>${rows.join('\n')}</tbody></table></div>`
}

function table(columns: readonly string[], rows: readonly string[]): string {
  const head = columns.map(column => `<th scope="col">${escapeText(column)}</th>`).join('')
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`
}

/** 1234567 -> 1,234,567. */
const count = (value: number): string => Math.round(value).toLocaleString('en-US')

/** A number in few digits: 12,345, 3.142, 2.5e-5. */
function shortNumber(value: number): string {
  const size = Math.abs(value)
  if (size >= 1000) return count(value)
  return size !== 0 && size < 1e-3 ? String(Number(value.toExponential(2))) : String(Number(value.toPrecision(4)))
}

/** 3725 -> 1 h 2 min. */
function duration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
