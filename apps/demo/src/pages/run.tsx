import { proxy } from 'comlink'
import { Fragment } from 'preact'
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
  /** Of all models that were opened: each has panels of its own. */
  turn: number
  architecture: string
  numParameters: number
  task: Task
  hasChat: boolean
  backend: string
  threads: number
}

/** What the worker has, which outlives the page. */
let open: Ready | undefined

/** Page 4: a model from the site, the run of this browser, the hub or a dropped folder, put to its use. */
export function RunPage() {
  const text = useText()
  const [ready, setReady] = useState(open)
  const [progress, setProgress] = useState<{ done: number; total: number }>()
  const [hubId, setHubId] = useState('')
  const [isChat, setChat] = useState(open?.hasChat ?? false)
  const [error, setError] = useState<unknown>()

  const load = async (source: () => Promise<ModelSource>): Promise<void> => {
    let isLoading = true
    setError(undefined)
    setProgress({ done: 0, total: 0 })
    try {
      const onProgress = proxy((done: number, total: number) => {
        if (isLoading) setProgress({ done, total }) // it may come after the model
      })
      open = await runningWorker().load(await source(), onProgress)
      setReady(open)
      setChat(open.hasChat)
    } catch (cause) {
      setError(cause) // what was open still is
    } finally {
      isLoading = false
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
        {progress
          ? text.run.loading(progress.done, progress.total)
          : ready &&
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
      <Fragment key={ready?.turn}>
        {ready?.task === 'generate' && (isChat ? <ChatPanel /> : <WritePanel />)}
        {ready?.task === 'fill' && <FillPanel />}
        {ready?.task === 'translate' && <TranslatePanel />}
      </Fragment>
    </>
  )
}
