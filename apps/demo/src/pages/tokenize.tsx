import { type Remote, wrap } from 'comlink'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useText } from '../language/language.ts'
import { bundledTokenizer } from '../parts/bundled.ts'
import { download } from '../parts/download.ts'
import { FileDrop } from '../parts/file-drop.tsx'
import { Notice } from '../parts/notice.tsx'
import { TokenStrip } from '../parts/token-strip.tsx'
import type { TokenizerWorker, TokenView } from '../worker/tokenizer-worker.ts'
import { TokenizerTraining } from './tokenizer-training.tsx'

const bundled = ['stories260K', 'bpe', 'wordpiece', 'unigram'] as const
type Choice = (typeof bundled)[number] | 'own'

function startWorker(): { worker: Worker; tokenizing: Remote<TokenizerWorker> } {
  const worker = new Worker(new URL('../worker/tokenizer-worker.ts', import.meta.url), { type: 'module' })
  return { worker, tokenizing: wrap<TokenizerWorker>(worker) }
}

export interface OpenTokenizer {
  vocabSize: number
  learned: string[]
}

/** Page 1: any tokenizer on any text, and training one. */
export function TokenizePage() {
  const text = useText().tokenize
  const common = useText()
  const [{ worker, tokenizing }, setStarted] = useState(startWorker)
  const [choice, setChoice] = useState<Choice>('stories260K')
  const [ownName, setOwnName] = useState('')
  const [source, setSource] = useState('Once upon a time, there was a little tokenizer. 从前有一个分词器 🙂')
  const [opened, setOpened] = useState<OpenTokenizer>()
  const [tokens, setTokens] = useState<TokenView[]>([])
  const [selected, setSelected] = useState<number>()
  const [error, setError] = useState<unknown>()
  const latest = useRef(0)

  useEffect(() => () => worker.terminate(), [worker])

  const open = async (json: string): Promise<void> => {
    setOpened(await tokenizing.open(json))
    setError(undefined)
  }

  useEffect(() => {
    if (choice === 'own') return
    bundledTokenizer(choice).then(open).catch(setError)
  }, [choice, tokenizing])

  useEffect(() => {
    if (!opened) return
    const turn = ++latest.current
    tokenizing
      .encode(source)
      .then(views => {
        if (turn === latest.current) setTokens(views)
      })
      .catch(setError)
    setSelected(undefined)
  }, [opened, source, tokenizing])

  const take = async ([file]: File[]): Promise<void> => {
    try {
      await open(await file!.text())
      setOwnName(file!.name)
      setChoice('own')
    } catch (cause) {
      setError(new Error(`${file!.name}: ${cause instanceof Error ? cause.message : cause}`))
    }
  }

  /** A training that is stopped ends its worker; a new one takes over. */
  const restart = (): void => {
    worker.terminate()
    setStarted(startWorker())
    setChoice('stories260K')
  }

  const shown = selected === undefined ? undefined : tokens[selected]
  return (
    <>
      <h1>{text.title}</h1>
      <p class="lead">{text.lead}</p>
      <div class="fields">
        <label>
          {text.tokenizer}
          <select value={choice} onChange={event => setChoice(event.currentTarget.value as Choice)}>
            <option value="stories260K">LLaMA, stories260K (512)</option>
            <option value="bpe">BPE, Shakespeare (2048)</option>
            <option value="wordpiece">WordPiece, Shakespeare (2048)</option>
            <option value="unigram">Unigram, Shakespeare (2048)</option>
            {choice === 'own' && <option value="own">{ownName}</option>}
          </select>
        </label>
        <FileDrop label={text.dropped} accept=".json,application/json" onFiles={take} />
      </div>
      <Notice error={error} />
      <label>
        {common.text}
        <textarea rows={4} value={source} onInput={event => setSource(event.currentTarget.value)} />
      </label>
      <TokenStrip text={source} tokens={tokens} selected={selected} onSelect={setSelected} />
      <p class="quiet" aria-live="polite">
        {text.count(tokens.length, [...source].length)}
        {opened && ` · ${text.vocabulary(opened.vocabSize)}`}
      </p>
      <p class="detail">{shown ? `${shown.token}   id ${shown.id}   [${shown.start}, ${shown.end})` : ' '}</p>
      <details>
        <summary>{text.table}</summary>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                {text.columns.map(name => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {tokens.map((token, i) => (
                <tr key={i}>
                  <td>
                    <code>{token.token}</code>
                  </td>
                  <td>{token.id}</td>
                  <td>{token.start}</td>
                  <td>{token.end}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
      <TokenizerTraining
        tokenizing={tokenizing}
        source={source}
        onStop={restart}
        onTrained={(name, trained) => {
          setOwnName(name)
          setChoice('own')
          setOpened(trained)
        }}
      />
      <p>
        <button type="button" onClick={async () => download('tokenizer.json', [await tokenizing.json()])}>
          {text.download}
        </button>
      </p>
    </>
  )
}
