import type { Guess } from '../worker/guess.ts'

/** Tokens with their probabilities, as bars. */
export function Guesses({ guesses, label }: { guesses: readonly Guess[]; label: string }) {
  return (
    <table class="guesses" aria-label={label}>
      <tbody>
        {guesses.map(({ id, token, probability }) => (
          <tr key={id} data-id={id} data-probability={probability}>
            <th scope="row">
              <code>{token}</code>
            </th>
            <td class="bar">
              <span style={{ width: `${100 * probability}%` }} />
            </td>
            <td>{(100 * probability).toFixed(1)} %</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
