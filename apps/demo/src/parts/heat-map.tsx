import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { useText } from '../language/language.ts'
import { colour, useTheme } from './theme.ts'

export interface Table {
  rows: number
  columns: number
  values: ArrayLike<number>
}

interface HeatMapProps extends Table {
  /** What it shows, for those who do not see it. */
  label: string
  /** Beside the rows, when there are few. */
  rowNames?: readonly string[] | undefined
  markedRow?: number | undefined
  /** Weights from 0 to 1 in one colour; numbers of both signs in two, else. */
  isShare?: boolean
  height?: number
}

/** Below this share lie all but outliers, which would bleach the rest. */
const span = 0.995

/** Numbers as colours; a pointer or the arrow keys read them. */
export function HeatMap({ rows, columns, values, label, rowNames, markedRow, isShare = false, height }: HeatMapProps) {
  const text = useText().inside
  const canvas = useRef<HTMLCanvasElement>(null)
  const theme = useTheme()
  const outputId = useId()
  const [cell, setCell] = useState<[row: number, column: number]>()
  const highest = isShare ? 1 : scaleOf(values)

  useEffect(() => {
    const context = canvas.current!.getContext('2d')!
    const image = context.createImageData(columns, rows)
    const [ground, more, less] = [colour('--raised'), colour('--hot'), colour('--cold')]
    for (let i = 0; i < rows * columns; i++) {
      const share = Math.max(-1, Math.min(1, values[i]! / highest))
      const towards = share < 0 ? less : more
      const part = Math.abs(share) ** 0.8
      for (const c of [0, 1, 2] as const) image.data[4 * i + c] = ground[c] + (towards[c] - ground[c]) * part
      image.data[4 * i + 3] = 255
    }
    context.putImageData(image, 0, 0)
  }, [rows, columns, values, highest, theme])

  const press = (event: KeyboardEvent): void => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key]
    if (!step) return
    event.preventDefault()
    const [row, column] = cell ?? [0, -step[1]!]
    const within = (value: number, size: number): number => Math.max(0, Math.min(size - 1, value))
    setCell([within(row + step[0]!, rows), within(column + step[1]!, columns)])
  }
  const point = (event: PointerEvent): void => {
    const box = canvas.current!.getBoundingClientRect()
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows)
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns)
    if (row >= 0 && row < rows && column >= 0 && column < columns) setCell([row, column])
  }
  const isNamed = rowNames !== undefined && rowNames.length === rows
  const rowHeight = isNamed ? 17 : Math.max(1.5, Math.min(17, 150 / rows))
  const drawnHeight = height ?? Math.max(14, rows * rowHeight)
  const shown = cell && values[cell[0] * columns + cell[1]]
  return (
    <div class="heat">
      <div class={isNamed ? 'heat-body named' : 'heat-body'}>
        {isNamed && (
          <ol aria-hidden="true">
            {rowNames.map((name, i) => (
              <li key={i} class={i === markedRow ? 'marked' : undefined}>
                {name}
              </li>
            ))}
          </ol>
        )}
        <canvas
          ref={canvas}
          width={columns}
          height={rows}
          role="img"
          aria-label={label}
          aria-describedby={outputId}
          tabIndex={0}
          style={{ height: `${drawnHeight}px` }}
          onKeyDown={press}
          onPointerMove={point}
          onPointerLeave={() => setCell(undefined)}
        />
      </div>
      <output id={outputId} class="quiet">
        {cell && shown !== undefined
          ? `[${(isNamed ? rowNames[cell[0]] : cell[0]) ?? ''}, ${cell[1]}] = ${shown.toPrecision(4)}`
          : isShare
            ? ' '
            : text.range(-highest, highest)}
      </output>
    </div>
  )
}

/** The size of numbers, but for outliers. */
function scaleOf(values: ArrayLike<number>): number {
  const sizes = Float32Array.from(values, Math.abs).sort()
  return sizes[Math.floor((sizes.length - 1) * span)] || 1
}
