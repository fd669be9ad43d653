import { proxy } from 'comlink'
import { useState } from 'preact/hooks'
import { useText } from '../language/language.ts'
import { bundledModel } from '../parts/bundled.ts'
import { FileDrop } from '../parts/file-drop.tsx'
import { Notice } from '../parts/notice.tsx'
import { modelFolder } from '../worker/run-store.ts'
import type { ModelSource, Task } from '../worker/running-worker.ts'
import { runningWorker } from '../worker/start.ts'
import { ChatPanel } from './run/chat.tsx'
import { FillPanel } from './run/fill.tsx'
import { TranslatePanel } from './run/translate.tsx'
import { WritePanel } from './run/write.tsx'

interface Ready {
  architecture: string
  numParameters: number
  task: Task
  hasChat: boolean
  backend: string
  threads: number
}

/** Page 4: a model from the site, the run of this browser, the hub or a dropped folder, put to its use. */
export function RunPage() {
  const text = useText()
  const [ready, setReady] = useState<Ready>()
  const [progress, setProgress] = useState<{ done: number; total: number }>()
  const [hubId, setHubId] = useState('')
  const [isChat, setChat] = useState(false)
  const [error, setError] = useState<unknown>()

  const load = async (open: () => Promise<ModelSource>): Promise<void> => {
    const before = ready
    setError(undefined)
    setReady(undefined)
    setProgress({ done: 0, total: 0 })
    try {
      const onProgress = proxy((done: number, total: number) => setProgress({ done, total }))
      const found = await runningWorker().load(await open(), onProgress)
      setReady(found)
      setChat(found.hasChat)
    } catch (cause) {
      setError(cause)
      setReady(before) // the worker still has it
    } finally {
      setProgress(undefined)
    }
  }
  const fromTraining = (): Promise<void> =>
    load(async () => {
      if (!(await runningWorker().hasTrained())) throw new Error(text.run.notTrained)
      return { address: modelFolder }
    })
  const fromHub = (): Promise<void> =>
    load(async () => ({ address: `https://huggingface.co/${hubId.trim()}/resolve/main` }))

  return (
    <>
      <h1>{text.run.title}</h1>
      <p class="lead">{text.run.lead}</p>
      <p class="actions">
        <button type="button" class="primary" onClick={() => load(async () => ({ files: await bundledModel() }))}>
          {text.run.bundled}
        </button>
        <button type="button" onClick={fromTraining}>
          {text.run.trained}
        </button>
      </p>
      <FileDrop label={text.run.folder} isMultiple onFiles={files => load(async () => ({ files }))} />
      <form
        class="actions"
        onSubmit={event => {
          event.preventDefault()
          void fromHub()
        }}
      >
        <label style={{ flex: 1 }}>
          {text.run.hubId}
          <input
            value={hubId}
            required
            pattern="[\w.\-]+/[\w.\-]+"
            onInput={event => setHubId(event.currentTarget.value)}
          />
        </label>
        <button type="submit">{text.run.load}</button>
      </form>
      <p class="quiet" aria-live="polite">
        {progress && text.run.loading(progress.done, progress.total)}
        {ready &&
          `${text.run.ready(ready.architecture, ready.numParameters.toLocaleString())} · ${text.train.backend(ready.backend, ready.threads)}`}
      </p>
      <Notice error={error} />
      {ready?.hasChat && ready.task === 'generate' && (
        <label>
          {text.run.mode}
          <select value={isChat ? 'chat' : 'text'} onChange={event => setChat(event.currentTarget.value === 'chat')}>
            <option value="chat">{text.run.asChat}</option>
            <option value="text">{text.run.asText}</option>
          </select>
        </label>
      )}
      {ready?.task === 'generate' && (isChat ? <ChatPanel /> : <WritePanel />)}
      {ready?.task === 'fill' && <FillPanel />}
      {ready?.task === 'translate' && <TranslatePanel />}
    </>
  )
}
