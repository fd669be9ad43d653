import type { WrittenToken } from '../../worker/running-worker.ts'

/** The likeliest tokens of a place as bars. */
export function Alternatives({ token }: { token: WrittenToken }) {
  return (
    <table>
      <tbody>
        {token.alternatives.map(({ token: name, probability }) => (
          <tr key={name}>
            <td>
              <code>{JSON.stringify(name)}</code>
            </td>
            <td>{(100 * probability).toFixed(1)} %</td>
            <td style={{ width: '60%' }}>
              <meter value={probability} max={1} aria-label={name} style={{ width: '100%' }} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
