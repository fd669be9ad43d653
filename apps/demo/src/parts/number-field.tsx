interface NumberFieldProps {
  label: string
  value: number
  min: number
  max: number
  step?: number | 'any'
  onValue(value: number): void
}

/** A number within bounds; what is outside is refused by the browser's own message and not passed on. */
export function NumberField({ label, value, min, max, step = 1, onValue }: NumberFieldProps) {
  return (
    <label>
      {label}
      <input
        type="number"
        {...{ min, max, step }}
        value={value}
        onChange={({ currentTarget }) => {
          if (currentTarget.reportValidity()) onValue(currentTarget.valueAsNumber)
          else currentTarget.value = String(value)
        }}
      />
    </label>
  )
}
