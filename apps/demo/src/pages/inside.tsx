import { useEffect, useRef, useState } from 'preact/hooks'
import type { Pass, SequenceToken } from '../inside/inspect.ts'
import { kindOf } from '../inside/kinds.ts'
import { allParts, type Part } from '../inside/module-tree.ts'
import { useText } from '../language/language.ts'
import { insideModel } from '../parts/bundled.ts'
import { Guesses } from '../parts/guesses.tsx'
import { Notice } from '../parts/notice.tsx'
import type { InsideName } from '../worker/inside-worker.ts'
import { insideWorker } from '../worker/start.ts'
import { Attention } from './inside/attention.tsx'
import { Compare } from './inside/compare.tsx'
import { Diagram } from './inside/diagram.tsx'
import { Lens } from './inside/lens.tsx'
import './inside/inside.css'
import { PartPanel } from './inside/part-panel.tsx'

const names: InsideName[] = ['transformer', 'bert', 'gpt2', 'llama']

const story = 'Once upon a time, there was a little girl named Lily. She loved to play'
const sentences: Record<InsideName, string> = {
  transformer: 'The old dog sees the horse.',
  bert: 'The capital of Japan is [MASK].',
  gpt2: story,
  llama: story,
}

interface Opened {
  name: InsideName
  root: Part
  pass: Pass
}

/** Where the model's guess is worth looking at first: at a mask, else at the end. */
function firstPlace({ sequences, predicts, predictsNext }: Pass): number {
  const tokens = sequences[predicts]!
  const mask = tokens.findIndex(({ token }) => token === '[MASK]')
  return predictsNext || mask < 0 ? tokens.length - 1 : mask
}

/** Page 2: what happens in a transformer, on the reader's own sentence. */
export function InsidePage() {
  const text = useText().inside
  const loading = useText().loading
  const [name, setName] = useState<InsideName>('llama')
  const [sentence, setSentence] = useState<Record<InsideName, string>>(sentences)
  const [opened, setOpened] = useState<Opened>()
  const [selected, setSelected] = useState<number>()
  const [place, setPlace] = useState(0)
  const [layer, setLayer] = useState(0)
  const [error, setError] = useState<unknown>()
  const latest = useRef(0)
  const current = sentence[name]

  useEffect(() => {
    const turn = ++latest.current
    const look = async (): Promise<void> => {
      const worker = insideWorker()
      const root = await worker.open(name, (await worker.isOpen(name)) ? [] : await insideModel(name))
      const pass = await worker.look(name, current)
      if (turn !== latest.current) return
      setError(undefined)
      setOpened({ name, root, pass })
      setPlace(firstPlace(pass))
      setLayer(pass.lens.length - 1)
    }
    const failed = (cause: unknown): void => {
      if (turn === latest.current) setError(cause)
    }
    const timer = setTimeout(() => look().catch(failed), opened ? 250 : 0) // the reader may be typing
    return () => clearTimeout(timer)
  }, [name, current])

  const choose = (next: InsideName): void => {
    if (next === name) return
    setOpened(undefined)
    setSelected(undefined)
    setName(next)
  }
  return (
    <>
      <h1>{text.title}</h1>
      <p class="lead">{text.lead}</p>
      <fieldset class="choices models" aria-label={text.model}>
        {names.map(one => (
          <button key={one} type="button" aria-pressed={one === name} onClick={() => choose(one)}>
            <strong>{text.models[one].name}</strong>
            <small>{text.models[one].is}</small>
          </button>
        ))}
      </fieldset>
      <label>
        {text.sentence[name]}
        <input
          value={current}
          onInput={event => setSentence({ ...sentence, [name]: event.currentTarget.value })}
          maxLength={400}
        />
      </label>
      <Notice error={error} />
      {opened ? (
        <Inside {...opened} {...{ selected, setSelected, place, setPlace, layer, setLayer }} />
      ) : (
        error === undefined && <p class="quiet">{loading}</p>
      )}
      <Compare sentence={name === 'gpt2' || name === 'llama' ? current : sentence.llama} />
    </>
  )
}

interface InsideProps extends Opened {
  selected: number | undefined
  setSelected(part: number): void
  place: number
  setPlace(place: number): void
  layer: number
  setLayer(layer: number): void
}

function Inside({ name, root, pass, selected, setSelected, place, setPlace, layer, setLayer }: InsideProps) {
  const text = useText().inside
  const parts = Array.from(allParts(root))
  const isAttention = (one: Part): boolean => kindOf(one) === 'attention'
  const part = parts.find(({ id }) => id === selected) ?? parts.find(isAttention) ?? root
  const { sequences, predicts, predictsNext, lens } = pass
  const guesses = lens[Math.min(layer, lens.length - 1)]![Math.min(place, lens[0]!.length - 1)]!
  const namesOf = (tokens: readonly SequenceToken[] = []): string[] => tokens.map(({ token }) => token)
  const readsSource = /^encoder|encoder_attn\.[kv]_proj/.test(part.path)
  const own = [namesOf(sequences.source), namesOf(sequences.target)]
  const sequenceNames = readsSource ? own : own.reverse() // which one the rows of equal lengths are
  return (
    <div data-inside={name} data-ids={sequences[predicts]!.map(({ id }) => id).join()}>
      {sequences.target && <TokenRow label={text.reads} tokens={sequences.source} />}
      <TokenRow
        label={sequences.target ? text.writes : text.tokens}
        tokens={sequences[predicts]!}
        place={place}
        onPlace={setPlace}
      />
      <div class="inside">
        <Diagram root={root} flows={pass.flows} selected={part.id} onSelect={setSelected} />
        <PartPanel
          model={name}
          part={part}
          pass={pass}
          sequences={sequenceNames}
          place={readsSource ? undefined : place}
        />
      </div>
      <h2>{text.attention}</h2>
      <p class="lead">{text.attentionLead}</p>
      <Attention key={name} maps={pass.attention} sequences={sequences} place={place} />
      <h2>{text.lens}</h2>
      <p class="lead">{text.lensLead}</p>
      <div class="lens-and-guesses">
        <Lens
          pass={pass}
          place={place}
          layer={layer}
          onChoose={(l, p) => {
            setLayer(l)
            setPlace(p)
          }}
        />
        <section class="card" aria-live="polite" data-guesses>
          <h3>
            {predictsNext
              ? text.nextAfter(sequences[predicts]![place]!.token)
              : text.hereAt(sequences[predicts]![place]!.token)}
          </h3>
          <p class="quiet">
            {layer === lens.length - 1 ? text.lastLayer : layer === 0 ? text.lensInput : text.layer(layer - 1)}
          </p>
          <Guesses guesses={guesses} label={text.likeliest} />
        </section>
      </div>
    </div>
  )
}

interface TokenRowProps {
  label: string
  tokens: readonly SequenceToken[]
  place?: number
  onPlace?(place: number): void
}

/** A sequence as its tokens; one of them may be the place to look at. */
function TokenRow({ label, tokens, place, onPlace }: TokenRowProps) {
  return (
    <fieldset class="tokens row" aria-label={label}>
      <span class="quiet">{label}</span>{' '}
      {tokens.map(({ id, token }, i) =>
        onPlace ? (
          <button
            key={i}
            type="button"
            class={`token hue${i % 5}`}
            aria-pressed={i === place}
            title={String(id)}
            onClick={() => onPlace(i)}
          >
            {token}
          </button>
        ) : (
          <span key={i} class={`token hue${i % 5}`} title={String(id)}>
            {token}
          </span>
        ),
      )}
    </fieldset>
  )
}
