import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Comparison, Moments, Side } from '../../inside/compare.ts'
import { useText } from '../../language/language.ts'
import { insideModel } from '../../parts/bundled.ts'
import { Guesses } from '../../parts/guesses.tsx'
import { HeatMap } from '../../parts/heat-map.tsx'
import { Notice } from '../../parts/notice.tsx'
import { insideWorker } from '../../worker/start.ts'
import { Formula } from './formula.tsx'

/** LLaMA beside GPT-2: the four things that set them apart, each in numbers of both for one sentence. */
export function Compare({ sentence }: { sentence: string }) {
  const text = useText().inside
  const [comparison, setComparison] = useState<Comparison>()
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    let isWanted = true
    const compare = async (): Promise<Comparison> => {
      for (const name of ['gpt2', 'llama'] as const) {
        if (!(await insideWorker().isOpen(name))) await insideWorker().open(name, await insideModel(name))
      }
      return insideWorker().compare(sentence)
    }
    setError(undefined)
    compare().then(found => isWanted && setComparison(found), setError)
    return () => {
      isWanted = false
    }
  }, [sentence])
  return (
    <section>
      <h2>{text.compareTitle}</h2>
      <p class="lead">{text.compareLead}</p>
      <Notice error={error} />
      {comparison && <Differences {...comparison} />}
    </section>
  )
}

function Differences({ tokens, gpt2, llama }: Comparison) {
  const text = useText().inside.differences
  const both = (show: (side: Side) => ComponentChildren) => (
    <div class="pair">
      {[gpt2, llama].map(side => (
        <div key={side.architecture} data-side={side === gpt2 ? 'gpt2' : 'llama'}>
          <h4>{side === gpt2 ? 'GPT-2' : 'LLaMA'}</h4>
          {show(side)}
        </div>
      ))}
    </div>
  )
  const highest = Math.max(...[gpt2, llama].flatMap(side => side.norm.after.map(({ mean }) => Math.abs(mean))), 0.05)
  return (
    <div class="differences">
      <article class="card">
        <h3>{text.norm.title}</h3>
        <p>{text.norm.is}</p>
        {both(({ norm }) => (
          <>
            <Formula
              text={
                norm.className === 'RMSNorm' ? 'x / √(mean(x^{2}) + ε) · w' : '(x − mean(x)) / √(var(x) + ε) · w + b'
              }
            />
            <MeanChart tokens={tokens} moments={norm.after} highest={highest} title={text.norm.chart} />
            <p class="quiet">{text.norm.figures(largest(norm.before), largest(norm.after))}</p>
          </>
        ))}
      </article>
      <article class="card">
        <h3>{text.inner.title}</h3>
        <p>{text.inner.is}</p>
        {both(({ inner }) => (
          <>
            <Formula
              text={inner.className === 'GatedFeedForward' ? 'silu(x W_{gate}) ⊙ x W_{up}' : 'gelu(x W_{1} + b)'}
            />
            <Histogram values={inner.values} title={text.inner.chart} />
            <p class="quiet">{text.inner.figures(inner.size, shareBelowZero(inner.values))}</p>
          </>
        ))}
      </article>
      <article class="card">
        <h3>{text.positions.title}</h3>
        <p>{text.positions.is}</p>
        {both(({ positions: { width, values, isLearned } }) => (
          <>
            <Formula text={isLearned ? 'x_{t} = E[id_{t}] + P[t]' : 'q_{m}·k_{n} = x_{m}^{T} R_{n−m} y_{n}'} />
            <HeatMap
              rows={tokens.length}
              columns={width}
              values={values}
              label={isLearned ? text.positions.learned : text.positions.rotary}
              height={Math.max(90, tokens.length * 7)}
            />
            <p class="quiet">{isLearned ? text.positions.learned : text.positions.rotary}</p>
          </>
        ))}
      </article>
      <article class="card">
        <h3>{text.heads.title}</h3>
        <p>{text.heads.is}</p>
        {both(({ heads, biases }) => (
          <>
            <HeadLines {...heads} title={text.heads.chart(heads.query, heads.keyValue)} />
            <p class="quiet">{text.heads.figures(heads.cachePerToken, biases.tensors, biases.numbers)}</p>
          </>
        ))}
      </article>
      <article class="card wide">
        <h3>{text.next.title}</h3>
        <p>{text.next.is}</p>
        {both(({ next, numParameters }) => (
          <>
            <Guesses guesses={next.slice(0, 6)} label={text.next.title} />
            <p class="quiet">{text.next.figures(numParameters)}</p>
          </>
        ))}
      </article>
    </div>
  )
}

const largest = (moments: readonly Moments[]): Moments => ({
  mean: Math.max(...moments.map(({ mean }) => Math.abs(mean))),
  rms: Math.max(...moments.map(({ rms }) => rms)),
})

const shareBelowZero = (values: Float32Array): number => values.filter(value => value < 0).length / values.length

const [width, height] = [280, 96]

interface MeanChartProps {
  title: string
  tokens: readonly string[]
  moments: readonly Moments[]
  highest: number
}

/** The mean of each token's numbers after a norm, as points about zero. */
function MeanChart({ title, tokens, moments, highest }: MeanChartProps) {
  const at = (i: number): number => 12 + (i * (width - 24)) / Math.max(1, tokens.length - 1)
  const up = (mean: number): number => height / 2 - (mean / highest) * (height / 2 - 10)
  return (
    <svg class="chart" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={title}>
      <line class="axis" x1="0" x2={width} y1={height / 2} y2={height / 2} />
      {moments.map(({ mean }, i) => (
        <g key={i}>
          <line class="axis" x1={at(i)} x2={at(i)} y1={height / 2} y2={up(mean)} />
          <circle class="dot" cx={at(i)} cy={up(mean)} r="3.5">
            <title>{`${tokens[i]}: ${mean.toFixed(4)}`}</title>
          </circle>
        </g>
      ))}
      <text x="2" y="10">
        {`+${highest.toPrecision(2)}`}
      </text>
      <text x="2" y={height - 2}>
        {`−${highest.toPrecision(2)}`}
      </text>
    </svg>
  )
}

const numBars = 41

/** How many of the numbers lie where, on a scale of roots so that rare ones show. */
function Histogram({ values, title }: { values: Float32Array; title: string }) {
  const sizes = Float32Array.from(values, Math.abs).sort()
  const edge = sizes[Math.floor((sizes.length - 1) * 0.99)] || 1
  const counts = new Array<number>(numBars).fill(0)
  for (const value of values) {
    const bar = Math.round(((Math.max(-edge, Math.min(edge, value)) / edge + 1) / 2) * (numBars - 1))
    counts[bar]! += 1
  }
  const most = Math.sqrt(Math.max(...counts))
  const step = width / numBars
  return (
    <svg class="chart" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={title}>
      {counts.map((count, i) => {
        const tall = (Math.sqrt(count) / most) * (height - 24)
        return <rect key={i} class="bar" x={i * step + 0.5} y={height - 14 - tall} width={step - 1} height={tall} />
      })}
      <line class="axis" x1={width / 2} x2={width / 2} y1="0" y2={height - 12} />
      <text x="0" y={height - 1}>
        {(-edge).toPrecision(2)}
      </text>
      <text x={width / 2} y={height - 1} text-anchor="middle">
        0
      </text>
      <text x={width} y={height - 1} text-anchor="end">
        {edge.toPrecision(2)}
      </text>
    </svg>
  )
}

/** Which query heads read which key heads. */
function HeadLines({ query, keyValue, title }: { query: number; keyValue: number; title: string }) {
  const x = (i: number, of: number): number => ((i + 0.5) * width) / of
  return (
    <svg class="chart" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={title}>
      {Array.from({ length: query }, (_, i) => {
        const group = Math.floor((i * keyValue) / query)
        return (
          <g key={i}>
            <line class="axis strong" x1={x(i, query)} x2={x(group, keyValue)} y1="24" y2={height - 28} />
            <circle class="dot" cx={x(i, query)} cy="22" r="6" />
          </g>
        )
      })}
      {Array.from({ length: keyValue }, (_, i) => (
        <rect key={i} class="bar" x={x(i, keyValue) - 8} y={height - 28} width="16" height="10" rx="3" />
      ))}
      <text x={width / 2} y="10" text-anchor="middle">
        {`${query} q`}
      </text>
      <text x={width / 2} y={height - 4} text-anchor="middle">
        {`${keyValue} k, v`}
      </text>
    </svg>
  )
}
