import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { Notice } from '../../parts/notice.tsx'

interface AskPanelProps<Answer> {
  label: string
  action: string
  example: string
  ask(text: string): Promise<Answer>
  show(answer: Answer): ComponentChildren
}

/** A text, a button, and what the model makes of the text. */
export function AskPanel<Answer>({ label, action, example, ask, show }: AskPanelProps<Answer>) {
  const [source, setSource] = useState(example)
  const [answer, setAnswer] = useState<Answer>()
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    setError(undefined)
    setAnswer(undefined)
    setBusy(true)
    try {
      setAnswer(await ask(source))
    } catch (cause) {
      setError(cause)
    } finally {
      setBusy(false)
    }
  }
  return (
    <form onSubmit={send}>
      <label>
        {label}
        <textarea rows={3} required value={source} onInput={event => setSource(event.currentTarget.value)} />
      </label>
      <button type="submit" class="primary" disabled={isBusy}>
        {action}
      </button>
      <Notice error={error} />
      <div aria-live="polite" aria-busy={isBusy}>
        {answer !== undefined && show(answer)}
      </div>
    </form>
  )
}
