import { useText } from '../language/language.ts'

/** What went wrong, in the words of the error. */
export function Notice({ error }: { error: unknown }) {
  const text = useText()
  if (error === undefined) return null
  const message = error instanceof Error ? error.message : String(error)
  return (
    <p class="notice" role="alert">
      <strong>{text.failed}.</strong> {message}
    </p>
  )
}
