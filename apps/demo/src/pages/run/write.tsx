import { useState } from 'preact/hooks'
import { useText } from '../../language/language.ts'
import { Guesses } from '../../parts/guesses.tsx'
import { Notice } from '../../parts/notice.tsx'
import { runningWorker } from '../../worker/start.ts'
import { defaultSampling, SamplingFields } from './sampling-fields.tsx'
import { useWriting } from './writing.ts'

/** Writes on from a prompt; each token opens to what else was likely there. */
export function WritePanel() {
  const text = useText().run
  const [prompt, setPrompt] = useState('Once upon a time')
  const [shownPrompt, setShownPrompt] = useState('')
  const [sampling, setSampling] = useState(defaultSampling)
  const [selected, setSelected] = useState<number>()
  const { tokens, isWriting, error, write, stop } = useWriting()
  const start = (): void => {
    setShownPrompt(prompt)
    setSelected(undefined)
    void write(onToken => runningWorker().generate(prompt, sampling, onToken))
  }
  return (
    <>
      <label>
        {text.prompt}
        <textarea rows={3} value={prompt} onInput={event => setPrompt(event.currentTarget.value)} />
      </label>
      <SamplingFields value={sampling} onValue={setSampling} />
      <p class="actions">
        <button type="button" class="primary" disabled={isWriting || prompt === ''} onClick={start}>
          {text.generate}
        </button>
        {isWriting && (
          <button type="button" onClick={stop}>
            {text.stop}
          </button>
        )}
      </p>
      <Notice error={error} />
      {shownPrompt !== '' && (
        <div class="card tokens written" data-ids={tokens.map(({ id }) => id).join()} aria-busy={isWriting}>
          <strong>{shownPrompt}</strong>
          {tokens.map((token, i) => (
            <button
              type="button"
              key={i}
              class={`token hue${i % 5}`}
              aria-pressed={selected === i}
              onClick={() => setSelected(i)}
            >
              {token.text === '' ? '·' : token.text}
            </button>
          ))}
        </div>
      )}
      {tokens.length > 0 && <p class="quiet">{text.alternatives}</p>}
      {selected !== undefined && tokens[selected] && (
        <Guesses guesses={tokens[selected].alternatives} label={text.likely} />
      )}
    </>
  )
}
