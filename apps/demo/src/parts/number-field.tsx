import { useState } from 'preact/hooks'

interface NumberFieldProps {
  label: string
  value: number
  min: number
  max: number
  step?: number | 'any'
  onValue(value: number): void
}

/** A number within bounds. What is typed is passed on while it is one; left as anything else, it is as before. */
export function NumberField({ label, value, min, max, step = 1, onValue }: NumberFieldProps) {
  const [draft, setDraft] = useState<{ text: string; before: number }>() // while it is typed
  const [refusal, setRefusal] = useState('')
  return (
    <label>
      {label}
      {refusal !== '' && (
        <span class="refusal" role="alert">
          {refusal}
        </span>
      )}
      <input
        type="number"
        required
        {...{ min, max, step }}
        value={draft?.text ?? String(value)}
        onInput={({ currentTarget }) => {
          setDraft({ text: currentTarget.value, before: draft?.before ?? value })
          setRefusal('')
          if (currentTarget.validity.valid) onValue(currentTarget.valueAsNumber)
        }}
        onBlur={({ currentTarget }) => {
          if (draft === undefined) return
          if (!currentTarget.validity.valid) onValue(draft.before)
          setRefusal(currentTarget.validationMessage)
          setDraft(undefined)
        }}
      />
    </label>
  )
}
