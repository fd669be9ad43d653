export interface Series {
  label: string
  points: ReadonlyArray<readonly [x: number, y: number]>
}

interface LineChartProps {
  title: string
  series: readonly Series[]
}

const width = 480
const height = 200
const margin = { left: 44, right: 10, top: 14, bottom: 24 }

/** A number for an axis: few digits, no trailing zeros. */
function short(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.01) return value.toExponential(1)
  return String(Number(value.toPrecision(3)))
}

/** One or two curves over the steps of a run, drawn to the extent of their values. */
export function LineChart({ title, series }: LineChartProps) {
  const all = series.flatMap(({ points }) => points).filter(([, y]) => Number.isFinite(y))
  if (all.length === 0) return <div class="card quiet">{title}</div>
  const maxX = Math.max(1, ...all.map(([x]) => x))
  const minY = Math.min(...all.map(([, y]) => y))
  const maxY = Math.max(...all.map(([, y]) => y))
  const span = maxY - minY || Math.abs(maxY) || 1
  const px = (x: number): number => margin.left + (x / maxX) * (width - margin.left - margin.right)
  const py = (y: number): number => height - margin.bottom - ((y - minY) / span) * (height - margin.top - margin.bottom)
  const last = series
    .map(({ label, points }) => ({ label, value: points.length > 0 && short(points.at(-1)![1]) }))
    .filter(({ value }) => value !== false)
  return (
    <figure class="card" style={{ margin: 0 }}>
      <figcaption class="quiet">
        {title}:
        {last.map(({ label, value }, i) => (
          <span key={label}>
            {label !== '' && <i class={i === 0 ? 'first' : 'second'} />}
            {label} {value}
          </span>
        ))}
      </figcaption>
      <svg
        class="chart"
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${title}: ${last.map(({ label, value }) => `${label} ${value}`).join(', ')}`}
      >
        {[minY, minY + span / 2, minY + span].map(y => (
          <>
            <line class="axis" x1={margin.left} x2={width - margin.right} y1={py(y)} y2={py(y)} />
            <text x={margin.left - 6} y={py(y) + 4} text-anchor="end">
              {short(y)}
            </text>
          </>
        ))}
        <text x={width - margin.right} y={height - 6} text-anchor="end">
          {maxX}
        </text>
        {series.map(({ label, points }, i) => (
          <polyline
            key={label}
            class={i === 0 ? 'first' : 'second'}
            points={points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(' ')}
          />
        ))}
      </svg>
    </figure>
  )
}
