import { useEffect, useLayoutEffect, useState } from 'preact/hooks'
import { useText } from '../language/language.ts'
import { download } from '../parts/download.ts'
import { exampleText } from '../parts/example-text.ts'
import { FileDrop } from '../parts/file-drop.tsx'
import { LineChart } from '../parts/line-chart.tsx'
import { Notice } from '../parts/notice.tsx'
import { NumberField } from '../parts/number-field.tsx'
import type { Architecture, Recipe, SizeName } from '../worker/run-store.ts'
import { trainingWorker } from '../worker/start.ts'
import {
  discardRun,
  draft,
  findRun,
  pauseRun,
  resumeRun,
  startRun,
  type TrainingState,
  useTraining,
} from './training-state.ts'

/** Page 3: a model trained in the page, from a text to an HF folder. */
export function TrainPage() {
  const text = useText().train
  const state = useTraining()
  useEffect(() => void findRun(), [])
  const isIdle = state.phase === 'idle'
  return (
    <>
      <h1>{text.title}</h1>
      <p class="lead">{text.lead}</p>
      {isIdle ? <RecipeForm /> : <RunView state={state} />}
      <Notice error={state.error} />
    </>
  )
}

function RecipeForm() {
  const text = useText().train
  const { notText } = useText()
  const [recipe, setRecipe] = useState(draft.recipe)
  const [corpus, setCorpus] = useState(draft.corpus)
  const [error, setError] = useState<unknown>()
  useLayoutEffect(() => void Object.assign(draft, { recipe, corpus }), [recipe, corpus]) // before the page can be left
  const set = (changes: Partial<Recipe>): void => setRecipe({ ...recipe, ...changes })
  const take = async ([file]: File[]): Promise<void> => {
    try {
      setCorpus(new TextDecoder('utf-8', { fatal: true }).decode(await file!.arrayBuffer()))
      setError(undefined)
    } catch {
      setError(new Error(notText(file!.name)))
    }
  }
  const start = async (): Promise<void> => {
    try {
      await startRun(recipe, corpus || (await exampleText()))
    } catch (cause) {
      setError(cause)
    }
  }
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        void start()
      }}
    >
      <label>
        {text.text}
        <textarea
          rows={5}
          placeholder={text.example}
          value={corpus}
          onInput={event => setCorpus(event.currentTarget.value)}
        />
      </label>
      <FileDrop label={text.orFile} accept=".txt,text/plain" onFiles={take} />
      <div class="fields">
        <label>
          {text.architecture}
          <select
            value={recipe.architecture}
            onChange={event => set({ architecture: event.currentTarget.value as Architecture })}
          >
            <option value="llama">LLaMA</option>
            <option value="gpt2">GPT-2</option>
          </select>
        </label>
        <label>
          {text.size}
          <select value={recipe.size} onChange={event => set({ size: event.currentTarget.value as SizeName })}>
            {(Object.keys(text.sizes) as SizeName[]).map(size => (
              <option key={size} value={size}>
                {text.sizes[size]}
              </option>
            ))}
          </select>
        </label>
        <NumberField label={text.steps} value={recipe.steps} min={1} max={1e6} onValue={steps => set({ steps })} />
        <NumberField
          label={text.learningRate}
          value={recipe.learningRate}
          min={1e-6}
          max={1}
          step="any"
          onValue={learningRate => set({ learningRate })}
        />
        <NumberField
          label={text.batch}
          value={recipe.batchSize}
          min={1}
          max={256}
          onValue={batchSize => set({ batchSize })}
        />
        <NumberField
          label={text.context}
          value={recipe.blockSize}
          min={8}
          max={1024}
          onValue={blockSize => set({ blockSize })}
        />
        <NumberField
          label={text.vocabSize}
          value={recipe.vocabSize}
          min={257}
          max={50_000}
          onValue={vocabSize => set({ vocabSize })}
        />
      </div>
      <Notice error={error} />
      <p class="actions">
        {/* Pressing it leaves the focus where it is: a number that is wrong stays, and the browser says so. */}
        <button type="submit" class="primary" onMouseDown={event => event.preventDefault()}>
          {text.start}
        </button>
        <span class="quiet">{text.hidden}</span>
      </p>
    </form>
  )
}

/** Points of one measured number over the steps. */
const pointsOf = (logs: TrainingState['logs'], name: string): Array<readonly [number, number]> =>
  logs.filter(log => log[name] !== undefined).map(log => [log.step!, log[name]!] as const)

function RunView({ state }: { state: TrainingState }) {
  const text = useText().train
  const { phase, step, maxSteps, backend, logs, samples, secondsLeft } = state
  const isBusy = phase === 'preparing' || phase === 'running' || phase === 'pausing'
  return (
    <>
      <p class="actions">
        <strong aria-live="polite" data-phase={phase}>
          {text.states[phase]}
        </strong>
        <progress max={maxSteps} value={step} aria-label={text.steps} />
        <span class="quiet" data-step={step}>
          {step} / {maxSteps}
        </span>
        {phase === 'running' && (
          <button type="button" onClick={pauseRun}>
            {text.pause}
          </button>
        )}
        {phase === 'paused' && (
          <button type="button" class="primary" onClick={resumeRun}>
            {text.resume}
          </button>
        )}
        {phase === 'done' && (
          <button
            type="button"
            class="primary"
            onClick={async () => download('heed-model.zip', [await trainingWorker().zip()])}
          >
            {text.download}
          </button>
        )}
        {!isBusy && (
          <button type="button" onClick={discardRun}>
            {text.discard}
          </button>
        )}
      </p>
      {isBusy && <p class="quiet">{text.hidden}</p>}
      {phase === 'paused' && backend === undefined && <p>{text.found(step, maxSteps)}</p>}
      <p class="figures quiet">
        {backend && <span>{text.backend(backend.backend, backend.threads)}</span>}
        {state.numParameters && (
          <span>
            <b>{state.numParameters.toLocaleString()}</b> {text.parameters}
          </span>
        )}
        {state.tokensPerSecond > 0 && (
          <span>
            <b>{Math.round(state.tokensPerSecond).toLocaleString()}</b> {text.speed}
          </span>
        )}
        {phase === 'running' && secondsLeft !== undefined && (
          <span>
            <b>{Math.ceil(secondsLeft)} s</b> {text.left}
          </span>
        )}
      </p>
      {(isBusy || logs.length > 0) && (
        <div class="columns">
          <LineChart
            title={text.loss}
            series={[
              { label: text.lossSeries, points: pointsOf(logs, 'loss') },
              { label: text.evalSeries, points: pointsOf(logs, 'evalLoss') },
            ]}
          />
          <LineChart title={text.gradNorm} series={[{ label: '', points: pointsOf(logs, 'gradNorm') }]} />
        </div>
      )}
      {samples.length > 0 && (
        <section>
          <h2>{text.samples}</h2>
          <div class="columns">
            {[...samples].reverse().map(sample => (
              <div key={sample.step} class="card">
                <span class="quiet">{text.sampleAt(sample.step)}</span>
                <p class="sample">{sample.text.replace(/\n{2,}/g, '\n')}</p>
              </div>
            ))}
          </div>
        </section>
      )}
    </>
  )
}
