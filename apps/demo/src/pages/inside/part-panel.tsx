import sources from 'virtual:module-sources'
import { useEffect, useState } from 'preact/hooks'
import { formulasOf, kindOf } from '../../inside/kinds.ts'
import type { Part } from '../../inside/module-tree.ts'
import type { Seen } from '../../inside/watch.ts'
import { useText } from '../../language/language.ts'
import { HeatMap } from '../../parts/heat-map.tsx'
import { Notice } from '../../parts/notice.tsx'
import type { InsideName, PartTensors } from '../../worker/inside-worker.ts'
import { insideWorker } from '../../worker/start.ts'
import { Formula } from './formula.tsx'
import { labelOf } from './layout.ts'

interface PartPanelProps {
  model: InsideName
  part: Part
  /** Changes with each pass. */
  pass: unknown
  /** The tokens of each sequence, to name rows by. */
  sequences: ReadonlyArray<readonly string[]>
  place: number | undefined
}

/** What a part is: its formula, its source, its tensors, and what it made of the sentence. */
export function PartPanel({ model, part, pass, sequences, place }: PartPanelProps) {
  const text = useText().inside
  const [tensors, setTensors] = useState<PartTensors>()
  const [turn, setTurn] = useState(0)
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    let isWanted = true
    setTensors(undefined)
    setTurn(0)
    insideWorker()
      .tensorsOf(model, part.id)
      .then(found => isWanted && setTensors(found), setError)
    return () => {
      isWanted = false
    }
  }, [model, part, pass])
  const source = sources[part.className]
  const call = tensors?.calls[turn]
  return (
    <section class="card part-panel" aria-label={text.part} data-part-path={part.path}>
      <p class="quiet path">
        <i class={`swatch ${kindOf(part)}`} aria-hidden="true" />
        {part.path || labelOf(part)}
      </p>
      <h3 aria-live="polite">{part.className || `${part.name} × ${part.children.length}`}</h3>
      <p>{text.kinds[kindOf(part)].is}</p>
      <p class="formulas">
        {formulasOf(part).map(formula => (
          <Formula key={formula} text={formula} />
        ))}
      </p>
      {source && (
        <details>
          <summary>
            <a href={`./sources/${source.file.split('/').at(-1)}.txt`} target="_blank" rel="noreferrer">
              {source.file}
            </a>
            {` : ${source.line}`}
          </summary>
          <pre class="source">
            <code>{source.code}</code>
          </pre>
        </details>
      )}
      <h4>{text.shapes}</h4>
      <table class="shapes">
        <tbody>
          {call?.input && <ShapeRow name={text.input} shape={call.input.shape} />}
          {call?.output && (
            <ShapeRow
              name={text.output}
              shape={call.output.shape}
              note={call.activation && text.after(call.activation)}
            />
          )}
          {part.tensors.map(({ name, shape, isTied }) => (
            <ShapeRow key={name} name={name} shape={shape} note={isTied ? text.tied : undefined} />
          ))}
        </tbody>
      </table>
      <p class="quiet">{text.parameters(part.numParameters)}</p>
      {tensors && tensors.calls.length === 0 && part.className !== '' && <p class="quiet">{text.notCalled}</p>}
      {tensors && tensors.calls.length > 1 && (
        <label>
          {text.call}
          <select value={turn} onChange={event => setTurn(Number(event.currentTarget.value))}>
            {tensors.calls.map((_, i) => (
              <option key={i} value={i}>
                {text.callNumber(i + 1, tensors.calls.length)}
              </option>
            ))}
          </select>
        </label>
      )}
      <Notice error={error} />
      {call && <h4>{text.values}</h4>}
      {call?.input && <Values name={text.input} tensor={call.input} {...{ sequences, place }} />}
      {call?.output && <Values name={text.output} tensor={call.output} {...{ sequences, place }} />}
      {tensors && tensors.parameters.length > 0 && <h4>{text.learned}</h4>}
      {tensors?.parameters.map(parameter => (
        <Values key={parameter.name} name={parameter.name} tensor={parameter} sequences={[]} place={undefined} />
      ))}
    </section>
  )
}

function ShapeRow({ name, shape, note }: { name: string; shape: readonly number[]; note?: string | undefined }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        <code data-shape={shape.join('×')}>[{shape.join(', ')}]</code> {note && <span class="quiet">{note}</span>}
      </td>
    </tr>
  )
}

const numbersShown = 8

/** A tensor as a picture, and its first numbers as a table. */
function Values({
  name,
  tensor,
  sequences,
  place,
}: {
  name: string
  tensor: Seen
  sequences: ReadonlyArray<readonly string[]>
  place: number | undefined
}) {
  const text = useText().inside
  const { values } = tensor
  const columns = tensor.dtype === 'int32' ? values.length : tensor.shape.at(-1)!
  const rows = values.length / columns
  const rowNames = sequences.find(names => names.length === rows)
  const { mean, deviation, lowest, highest } = summary(values)
  const figures = text.summary(mean, deviation, lowest, highest)
  return (
    <figure class="values" data-values={name}>
      <figcaption>
        <strong>{name}</strong> <span class="quiet">{figures}</span>
      </figcaption>
      {tensor.dtype === 'int32' ? (
        <code>{[...values].join(', ')}</code>
      ) : (
        <>
          <HeatMap
            {...{ rows, columns, values, rowNames }}
            markedRow={place}
            label={`${name}, [${tensor.shape.join(', ')}]: ${figures}`}
          />
          <details>
            <summary>{text.numbers}</summary>
            <div class="scroll">
              <table class="numbers">
                <tbody>
                  {Array.from({ length: Math.min(rows, 48) }, (_, row) => (
                    <tr key={row}>
                      <th scope="row">{rowNames?.[row] ?? row}</th>
                      {[...values.subarray(row * columns, row * columns + Math.min(columns, numbersShown))].map(
                        (x, i) => (
                          <td key={i}>{x.toFixed(3)}</td>
                        ),
                      )}
                      {columns > numbersShown && <td>…</td>}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </details>
        </>
      )}
    </figure>
  )
}

function summary(values: Seen['values']): Record<'mean' | 'deviation' | 'lowest' | 'highest', number> {
  let [sum, squares, lowest, highest] = [0, 0, Infinity, -Infinity]
  for (const value of values) {
    sum += value
    squares += value * value
    lowest = Math.min(lowest, value)
    highest = Math.max(highest, value)
  }
  const mean = sum / values.length
  return { mean, deviation: Math.sqrt(Math.max(0, squares / values.length - mean * mean)), lowest, highest }
}
