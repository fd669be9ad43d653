import { useEffect, useRef, useState } from 'preact/hooks'
import type { AttentionKind, AttentionMaps, Pass } from '../../inside/inspect.ts'
import { useText } from '../../language/language.ts'
import { colour, useTheme } from '../../parts/theme.ts'

interface AttentionProps {
  maps: readonly AttentionMaps[]
  sequences: Pass['sequences']
  place: number | undefined
}

/** Every head of every layer as a small map, and one of them large. */
export function Attention({ maps, sequences, place }: AttentionProps) {
  const text = useText().inside
  const [kind, setKind] = useState<AttentionKind>(maps[0]!.kind)
  const [[layer, head], setHead] = useState<[number, number]>([0, 0])
  const shown = maps.find(one => one.kind === kind) ?? maps[0]!
  const [atLayer, atHead] = [Math.min(layer, shown.layers.length - 1), Math.min(head, shown.numHeads - 1)]
  const [rows, columns] = [sequences[shown.rows]!, sequences[shown.columns]!].map(tokens =>
    tokens.map(({ token }) => token),
  ) as [string[], string[]]
  const size = rows.length * columns.length
  const mapOf = (l: number, h: number): Float32Array => shown.layers[l]!.subarray(h * size, (h + 1) * size)
  return (
    <>
      {maps.length > 1 && (
        <fieldset class="choices" aria-label={text.attention}>
          {maps.map(one => (
            <button
              key={one.kind}
              type="button"
              aria-pressed={one.kind === shown.kind}
              onClick={() => setKind(one.kind)}
            >
              {text.attentionKinds[one.kind]}
            </button>
          ))}
        </fieldset>
      )}
      <div class="attention-maps">
        <fieldset class="heads" style={{ '--heads': shown.numHeads }} aria-label={text.allHeads}>
          {shown.layers.map((_, l) => (
            <div key={l}>
              <span class="quiet">{text.layer(l)}</span>
              {Array.from({ length: shown.numHeads }, (_, h) => (
                <button
                  key={h}
                  type="button"
                  aria-pressed={l === atLayer && h === atHead}
                  aria-label={text.layerHead(l, h)}
                  title={text.layerHead(l, h)}
                  onClick={() => setHead([l, h])}
                >
                  <SmallMap rows={rows.length} columns={columns.length} values={mapOf(l, h)} />
                </button>
              ))}
            </div>
          ))}
        </fieldset>
        <LargeMap
          {...{ rows, columns }}
          values={mapOf(atLayer, atHead)}
          title={text.layerHead(atLayer, atHead)}
          place={place}
        />
      </div>
    </>
  )
}

function SmallMap({ rows, columns, values }: { rows: number; columns: number; values: Float32Array }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const theme = useTheme()
  useEffect(() => {
    const context = canvas.current!.getContext('2d')!
    const image = context.createImageData(columns, rows)
    const rgb = colour('--accent')
    for (let i = 0; i < rows * columns; i++) image.data.set([...rgb, 255 * values[i]! ** 0.7], 4 * i)
    context.putImageData(image, 0, 0)
  }, [rows, columns, values, theme])
  return <canvas ref={canvas} width={columns} height={rows} />
}

interface LargeMapProps {
  title: string
  rows: readonly string[]
  columns: readonly string[]
  values: Float32Array
  place: number | undefined
}

/** Each row: where the token on the left looks, in percent. */
function LargeMap({ title, rows, columns, values, place }: LargeMapProps) {
  const text = useText().inside
  return (
    <div class="large-map">
      <div class="scroll">
        <table>
          <caption>
            {title}. {text.mapHelp}
          </caption>
          <thead>
            <tr>
              <td />
              {columns.map((token, i) => (
                <th key={i} scope="col">
                  <span>{token}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((token, r) => (
              <tr key={r} class={r === place ? 'marked' : undefined}>
                <th scope="row">{token}</th>
                {columns.map((looked, c) => {
                  const share = values[r * columns.length + c]!
                  return (
                    <td
                      key={c}
                      data-share={share}
                      title={`${token} → ${looked}: ${(100 * share).toFixed(1)} %`}
                      style={{ '--share': `${Math.round(52 * share)}%` }} // of more, the number could not be read
                    >
                      {share >= 0.005 ? Math.round(100 * share) : ''}
                    </td>
                  )
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  )
}
