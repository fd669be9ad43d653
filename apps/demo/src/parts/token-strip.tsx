import type { TokenView } from '../worker/tokenizer-worker.ts'

interface TokenStripProps {
  text: string
  tokens: readonly TokenView[]
  selected: number | undefined
  onSelect(index: number | undefined): void
}

/** A text with each token on a colour of its own; tokens that stand for no text are shown by name. */
export function TokenStrip({ text, tokens, selected, onSelect }: TokenStripProps) {
  let covered = 0
  return (
    <div class="tokens">
      {tokens.map((token, i) => {
        const gap = text.slice(covered, token.start)
        const isNew = token.end > covered
        const shown = isNew ? text.slice(Math.max(token.start, covered), token.end) : token.token
        covered = Math.max(covered, token.end)
        return (
          <>
            {gap}
            <button
              type="button"
              key={i}
              class={`token hue${i % 5}${token.isSpecial || !isNew ? ' special' : ''}`}
              aria-pressed={selected === i}
              title={`${token.token} · ${token.id}`}
              onClick={() => onSelect(selected === i ? undefined : i)}
              onMouseEnter={() => onSelect(i)}
            >
              {shown.replaceAll('\n', '↵\n')}
            </button>
          </>
        )
      })}
      {text.slice(covered)}
    </div>
  )
}
