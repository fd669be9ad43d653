import type { Pass } from '../../inside/inspect.ts'
import { useText } from '../../language/language.ts'

interface LensProps {
  pass: Pass
  place: number
  layer: number
  onChoose(layer: number, place: number): void
}

/** What the head would say after each layer: a row a layer, a column a place; the surer, the darker. */
export function Lens({ pass, place, layer, onChoose }: LensProps) {
  const text = useText().inside
  const tokens = pass.sequences[pass.predicts]!
  return (
    <div class="scroll lens">
      <table>
        <caption>{pass.predictsNext ? text.lensNext : text.lensHere}</caption>
        <thead>
          <tr>
            <td />
            {tokens.map(({ token }, i) => (
              <th key={i} scope="col">
                {token}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {pass.lens.map((places, l) => (
            <tr key={l}>
              <th scope="row">{l === 0 ? text.lensInput : text.layer(l - 1)}</th>
              {places.map(([best], p) => (
                <td key={p} style={{ '--share': `${Math.round(52 * best!.probability)}%` }}>
                  <button
                    type="button"
                    aria-pressed={l === layer && p === place}
                    aria-label={`${best!.token}, ${(100 * best!.probability).toFixed(0)} %`}
                    onClick={() => onChoose(l, p)}
                  >
                    {best!.token}
                  </button>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
