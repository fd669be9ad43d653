import { useState } from 'preact/hooks'
import { useText } from '../../language/language.ts'
import { Notice } from '../../parts/notice.tsx'
import { runningWorker } from '../../worker/start.ts'
import { defaultSampling, SamplingFields } from './sampling-fields.tsx'
import { useWriting } from './writing.ts'

interface Message {
  role: 'user' | 'assistant'
  content: string
}

/** A conversation, by the model's own chat template. */
export function ChatPanel() {
  const text = useText().run
  const [messages, setMessages] = useState<readonly Message[]>([])
  const [draft, setDraft] = useState('')
  const [sampling, setSampling] = useState(defaultSampling)
  const { tokens, isWriting, error, write, stop, clear } = useWriting()
  const textOf = (parts: ReadonlyArray<{ text: string }>): string => parts.map(part => part.text).join('')
  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    const asked: Message[] = [...messages, { role: 'user', content: draft }]
    setMessages(asked)
    setDraft('')
    const answer = await write(onToken => runningWorker().chat(asked, sampling, onToken))
    if (answer?.length) return setMessages([...asked, { role: 'assistant', content: textOf(answer) }])
    setMessages(messages) // without an answer, the message goes back to be changed
    setDraft(typed => typed || draft)
  }
  const restart = (): void => {
    setMessages([])
    clear()
  }
  const shown = isWriting ? [...messages, { role: 'assistant', content: textOf(tokens) } as const] : messages
  return (
    <>
      <div aria-live="polite">
        {shown.map(({ role, content }, i) => (
          <div key={i} class="card">
            <strong>{role === 'user' ? text.you : text.model}</strong>
            <p class="sample">{content}</p>
          </div>
        ))}
      </div>
      <Notice error={error} />
      <form onSubmit={send}>
        <label>
          {text.message}
          <textarea rows={2} required value={draft} onInput={event => setDraft(event.currentTarget.value)} />
        </label>
        <p class="actions">
          <button type="submit" class="primary" disabled={isWriting}>
            {text.send}
          </button>
          {isWriting ? (
            <button type="button" onClick={stop}>
              {text.stop}
            </button>
          ) : (
            <button type="button" onClick={restart}>
              {text.newChat}
            </button>
          )}
        </p>
      </form>
      <SamplingFields value={sampling} onValue={setSampling} />
    </>
  )
}
