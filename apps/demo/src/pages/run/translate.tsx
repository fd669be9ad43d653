import { useState } from 'preact/hooks'
import { useText } from '../../language/language.ts'
import { Notice } from '../../parts/notice.tsx'
import { runningWorker } from '../../worker/start.ts'

/** The text that an encoder-decoder model writes for another. */
export function TranslatePanel() {
  const text = useText().run
  const [source, setSource] = useState('')
  const [target, setTarget] = useState('')
  const [error, setError] = useState<unknown>()
  const translate = async (): Promise<void> => {
    setError(undefined)
    try {
      setTarget(await runningWorker().translate(source))
    } catch (cause) {
      setError(cause)
    }
  }
  return (
    <>
      <label>
        {text.toTranslate}
        <textarea rows={3} value={source} onInput={event => setSource(event.currentTarget.value)} />
      </label>
      <button type="button" class="primary" disabled={source === ''} onClick={translate}>
        {text.translate}
      </button>
      <Notice error={error} />
      <p class="sample" aria-live="polite">
        {target}
      </p>
    </>
  )
}
