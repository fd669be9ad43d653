import { useText } from '../language/language.ts'

/** The kind of an error: the code of Heed's own, or what browsers call memory and disks that are full. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error.name === 'QuotaExceededError') return 'HEED_IO'
  if (error.name === 'RangeError' && /alloc|memory|length/i.test(error.message)) return 'HEED_OUT_OF_MEMORY'
  return (error as { code?: string }).code
}

/** What went wrong, in the words of the error, and what to do about it. */
export function Notice({ error }: { error: unknown }) {
  const text = useText()
  if (error === undefined) return null
  const message = error instanceof Error ? error.message : String(error)
  const advice = text.advice[codeOf(error) ?? '']
  return (
    <p class="notice" role="alert">
      <strong>{text.failed}.</strong> {message} {advice && <span class="quiet">{advice}</span>}
    </p>
  )
}
