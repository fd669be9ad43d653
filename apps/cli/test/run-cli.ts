import { spawn } from 'node:child_process'
import { join } from 'node:path'

export const main: string = join(import.meta.dirname, '..', 'dist', 'main.js')

export interface CliResult {
  code: number | null
  stdout: string
  stderr: string
}

/**
 * Runs the built command as a user would; `interruptWhen` sends Ctrl-C, or another `signal`, once when standard error or output
 * contains that text, or when it says so.
 */
export function heed(
  args: string[],
  {
    input = '',
    env = {},
    interruptWhen,
    signal = 'SIGINT',
  }: {
    input?: string
    env?: Record<string, string>
    interruptWhen?: string | (() => boolean)
    signal?: NodeJS.Signals
  } = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env } })
    let stdout = ''
    let stderr = ''
    let isInterrupted = false
    const watch = (): void => {
      if (!interruptWhen || isInterrupted) return
      if (typeof interruptWhen === 'string' ? !(stdout + stderr).includes(interruptWhen) : !interruptWhen()) return
      isInterrupted = true
      child.kill(signal)
    }
    const watching = typeof interruptWhen === 'function' ? setInterval(watch, 2) : undefined
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk
      watch()
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk
      watch()
    })
    child.on('error', reject)
    child.on('close', code => {
      clearInterval(watching)
      resolve({ code, stdout, stderr })
    })
    child.stdin.end(input)
  })
}

/** Types in a terminal: each text when standard output, since the one before, has what it waits for. Gives all of the output. */
export function typeInto(args: string[], turns: [after: string, text: string][]): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const asTerminal = ['--import', 'data:text/javascript,process.stdin.isTTY=true']
    const child = spawn(process.execPath, [...asTerminal, main, ...args])
    let stdout = ''
    let stderr = ''
    let seen = 0
    const left = [...turns]
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk
      const [after, text] = left[0] ?? []
      if (after === undefined || !stdout.includes(after, seen)) return
      left.shift()
      seen = stdout.length
      child.stdin.write(text!)
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}
