/** 1234567 -> `1,234,567` */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** 1536 -> `1.5 KB` */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let unit = 0
  let size = bytes
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`
}

/** 83.4 -> `1m 23s` */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  const whole = Math.round(seconds)
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  if (hours > 0) return `${hours}h ${minutes}m`
  return minutes > 0 ? `${minutes}m ${whole % 60}s` : `${whole}s`
}

/** Rows as aligned columns; numbers to the right. */
export function formatTable(rows: Array<Array<string | number>>): string {
  const texts = rows.map(row => row.map(cell => (typeof cell === 'number' ? formatCount(cell) : cell)))
  const widths = texts.reduce<number[]>(
    (widest, row) => row.map((text, column) => Math.max(widest[column] ?? 0, text.length)),
    [],
  )
  const line = (row: string[], cells: Array<string | number>): string =>
    row
      .map((text, i) => (typeof cells[i] === 'number' ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  return texts.map((row, i) => line(row, rows[i]!)).join('\n')
}
