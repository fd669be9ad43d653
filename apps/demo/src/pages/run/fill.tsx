import { useText } from '../../language/language.ts'
import { runningWorker } from '../../worker/start.ts'
import { AskPanel } from './ask.tsx'

/** The likeliest words for the mask of a text. */
export function FillPanel() {
  const text = useText().run
  return (
    <AskPanel
      label={text.mask}
      action={text.fill}
      example="To be or not to [MASK]."
      ask={source => runningWorker().fill(source)}
      show={filled => (
        <table>
          <tbody>
            {filled.map(({ sequence, score }, i) => (
              <tr key={i}>
                <td>{(100 * score).toFixed(1)} %</td>
                <td>{sequence}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    />
  )
}
