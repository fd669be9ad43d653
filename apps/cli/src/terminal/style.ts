const isColoured = Boolean(process.stdout.isTTY) && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

function wrap(open: number, close: number): (text: string) => string {
  return text => (isColoured ? `\u001b[${open}m${text}\u001b[${close}m` : text)
}

/** Emphasis for terminals; plain text when output is piped or NO_COLOR is set. */
export const bold: (text: string) => string = wrap(1, 22)
export const dim: (text: string) => string = wrap(2, 22)
export const green: (text: string) => string = wrap(32, 39)
export const red: (text: string) => string = wrap(31, 39)
export const cyan: (text: string) => string = wrap(36, 39)
