import { proxy, type Remote } from 'comlink'
import { useEffect, useState } from 'preact/hooks'
import { useText } from '../language/language.ts'
import { exampleText } from '../parts/example-text.ts'
import { Notice } from '../parts/notice.tsx'
import { NumberField } from '../parts/number-field.tsx'
import { TokenStrip } from '../parts/token-strip.tsx'
import type { TokenizerWorker, TokenView, TrainingMethod } from '../worker/tokenizer-worker.ts'
import type { OpenTokenizer } from './tokenize.tsx'

interface TokenizerTrainingProps {
  tokenizing: Remote<TokenizerWorker>
  /** The text that shows how the vocabulary grows. */
  source: string
  onTrained(name: string, trained: OpenTokenizer): void
  onStop(): void
}

const methods: TrainingMethod[] = ['BPE', 'WordPiece', 'Unigram']

/** Trains a tokenizer on a pasted text, then lets its vocabulary grow under a slider. */
export function TokenizerTraining({ tokenizing, source, onTrained, onStop }: TokenizerTrainingProps) {
  const text = useText().tokenize
  const [method, setMethod] = useState<TrainingMethod>('BPE')
  const [corpus, setCorpus] = useState('')
  const [vocabSize, setVocabSize] = useState(1000)
  const [progress, setProgress] = useState<{ done: number; total: number | undefined }>()
  const [trained, setTrained] = useState<OpenTokenizer>()
  const [size, setSize] = useState(0)
  const [tokens, setTokens] = useState<TokenView[]>([])
  const [error, setError] = useState<unknown>()

  useEffect(() => {
    if (trained) tokenizing.encodeAtSize(source, size).then(setTokens, setError)
  }, [trained, size, source, tokenizing])

  const train = async (): Promise<void> => {
    setError(undefined)
    setTrained(undefined)
    setProgress({ done: 0, total: undefined })
    try {
      const onProgress = proxy((done: number, total: number | undefined) => setProgress({ done, total }))
      const result = await tokenizing.train(method, corpus || (await exampleText(100_000)), vocabSize, onProgress)
      setTrained(result)
      setSize(result.learned.length)
      onTrained(`${method} (${result.vocabSize})`, result)
    } catch (cause) {
      setError(cause)
    } finally {
      setProgress(undefined)
    }
  }

  return (
    <section>
      <h2>{text.trainTitle}</h2>
      <p class="lead">{text.trainLead}</p>
      <div class="fields">
        <label>
          {text.method}
          <select value={method} onChange={event => setMethod(event.currentTarget.value as TrainingMethod)}>
            {methods.map(name => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <NumberField label={text.vocabSize} value={vocabSize} min={300} max={50_000} onValue={setVocabSize} />
      </div>
      <label>
        {text.corpus}
        <textarea
          rows={3}
          value={corpus}
          placeholder={text.useExample}
          onInput={event => setCorpus(event.currentTarget.value)}
        />
      </label>
      <p class="actions">
        <button type="button" class="primary" disabled={progress !== undefined} onClick={train}>
          {text.train}
        </button>
        {progress && (
          <>
            <progress max={progress.total ?? 1} value={progress.total === undefined ? undefined : progress.done} />
            <button
              type="button"
              onClick={() => {
                setProgress(undefined)
                onStop()
              }}
            >
              {text.stop}
            </button>
          </>
        )}
      </p>
      <Notice error={error} />
      {trained && (
        <>
          <label>
            {text.grow(size)}
            <input
              type="range"
              min="1"
              max={trained.learned.length}
              value={size}
              onInput={event => setSize(event.currentTarget.valueAsNumber)}
            />
          </label>
          <TokenStrip text={source} tokens={tokens} selected={undefined} onSelect={() => {}} />
          <p class="quiet">
            {text.learned}:{' '}
            {trained.learned
              .slice(Math.max(0, size - 12), size)
              .reverse()
              .map(token => (
                <>
                  <code key={token}>{token}</code>{' '}
                </>
              ))}
          </p>
        </>
      )}
    </section>
  )
}
