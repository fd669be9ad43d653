import { red } from './terminal/style.ts'

/** Exit codes: 0 success, 1 failure, 2 wrong use, 130 stopped by Ctrl-C. */
export const exitCodes = { failure: 1, usage: 2, interrupted: 130 } as const

/** Prints one error, as JSON when asked, and ends with its code. An error without a code is a fault of Heed: its stack is shown. */
export function fail(error: unknown, isJson: boolean): never {
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (isJson) process.stdout.write(`${JSON.stringify({ error: { code: code ?? 'HEED_INTERNAL', message } })}\n`)
  else if (code) process.stderr.write(`${red('error')}: ${message}\n`)
  else process.stderr.write(`${red('error')}: ${error instanceof Error ? error.stack : message}\n`)
  if (code === 'HEED_ABORTED') process.exit(exitCodes.interrupted)
  process.exit(code === 'HEED_ARGUMENT_INVALID' ? exitCodes.usage : exitCodes.failure)
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return undefined
}

/** The action of a command: errors end the process with one clear message. */
export function action<Args extends unknown[]>(
  run: (...args: Args) => Promise<void>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    const options = args.at(-2) as { json?: boolean } | undefined
    try {
      await run(...args)
    } catch (error) {
      fail(error, options?.json === true)
    }
  }
}
