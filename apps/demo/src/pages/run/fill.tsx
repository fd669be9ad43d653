import type { FilledMask } from '@heed/transformer'
import { useState } from 'preact/hooks'
import { useText } from '../../language/language.ts'
import { Notice } from '../../parts/notice.tsx'
import { runningWorker } from '../../worker/start.ts'

/** The likeliest words for the mask of a text. */
export function FillPanel() {
  const text = useText().run
  const [source, setSource] = useState('To be or not to [MASK].')
  const [filled, setFilled] = useState<readonly FilledMask[]>([])
  const [error, setError] = useState<unknown>()
  const fill = async (): Promise<void> => {
    setError(undefined)
    setFilled([])
    try {
      setFilled(await runningWorker().fill(source))
    } catch (cause) {
      setError(cause)
    }
  }
  return (
    <>
      <label>
        {text.mask}
        <textarea rows={2} value={source} onInput={event => setSource(event.currentTarget.value)} />
      </label>
      <button type="button" class="primary" onClick={fill}>
        {text.fill}
      </button>
      <Notice error={error} />
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
    </>
  )
}
