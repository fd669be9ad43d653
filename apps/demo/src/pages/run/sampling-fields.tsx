import { useText } from '../../language/language.ts'
import { NumberField } from '../../parts/number-field.tsx'
import type { Sampling } from '../../worker/running-worker.ts'

export const defaultSampling: Sampling = {
  maxNewTokens: 120,
  doSample: true,
  temperature: 0.8,
  topK: 50,
  topP: 0.95,
  seed: 1,
}

interface SamplingFieldsProps {
  value: Sampling
  onValue(value: Sampling): void
}

/** How the next token is chosen. */
export function SamplingFields({ value, onValue }: SamplingFieldsProps) {
  const text = useText().run
  const set = (changes: Partial<Sampling>): void => onValue({ ...value, ...changes })
  const { maxNewTokens, doSample, temperature, topK, topP, seed } = value
  return (
    <>
      <label class="check">
        <input
          type="checkbox"
          checked={!doSample}
          onChange={event => set({ doSample: !event.currentTarget.checked })}
        />
        {text.greedy}
      </label>
      <div class="fields">
        <NumberField
          label={text.maxNewTokens}
          value={maxNewTokens}
          min={1}
          max={4096}
          onValue={n => set({ maxNewTokens: n })}
        />
        {doSample && (
          <>
            <NumberField
              label={text.temperature}
              value={temperature}
              min={0.01}
              max={5}
              step="any"
              onValue={n => set({ temperature: n })}
            />
            <NumberField label={text.topK} value={topK} min={1} max={1000} onValue={n => set({ topK: n })} />
            <NumberField label={text.topP} value={topP} min={0.01} max={1} step="any" onValue={n => set({ topP: n })} />
            <NumberField label={text.seed} value={seed} min={0} max={1e9} onValue={n => set({ seed: n })} />
          </>
        )}
      </div>
    </>
  )
}
