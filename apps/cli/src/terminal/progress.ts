import { formatSeconds } from './format.ts'
import { cyan, dim } from './style.ts'

const barWidth = 24
// Where there is no line to redraw, a line is printed at most this often.
const plainIntervalMs = 10_000

/**
 * A progress bar with a remaining time on a terminal; on a pipe, a line every ten seconds; with `--json`, nothing.
 * Writes to standard error, so that output can be piped.
 */
export class ProgressBar {
  private readonly start = performance.now()
  private lastPlain = 0
  private isShown = false

  constructor(
    private readonly label: string,
    private readonly total: number,
    private readonly isQuiet: boolean,
    private readonly stream: NodeJS.WriteStream = process.stderr,
  ) {}

  /** Shows `done` of `total` and a few words, such as the loss. */
  update(done: number, words = ''): void {
    if (this.isQuiet) return
    const now = performance.now()
    const part = this.total > 0 ? Math.min(done / this.total, 1) : 0
    const remaining = part > 0 ? ((now - this.start) / 1000) * (1 / part - 1) : Number.POSITIVE_INFINITY
    const counts = `${String(Math.round(part * 100)).padStart(3)}%`
    if (this.stream.isTTY) {
      const filled = Math.round(part * barWidth)
      const bar = cyan('█'.repeat(filled)) + dim('░'.repeat(barWidth - filled))
      const line = `${this.label} ${bar} ${counts} ${dim(formatSeconds(remaining))} ${words}`
      this.stream.write(`\r\u001b[K${line}`)
      this.isShown = true
    } else if (done >= this.total || now - this.lastPlain >= plainIntervalMs) {
      this.lastPlain = now
      const line = `${this.label} ${counts} ${formatSeconds(remaining)} left ${words}`
      this.stream.write(`${line.trimEnd()}\n`)
    }
  }

  /** Removes the bar, so that the next line starts clean. */
  clear(): void {
    if (this.isShown) this.stream.write('\r\u001b[K')
    this.isShown = false
  }
}
