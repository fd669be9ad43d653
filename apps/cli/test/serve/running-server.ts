import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..', '..', '..')
const main = join(root, 'apps', 'cli', 'dist', 'main.js')
export const stories = join(root, 'packages', 'llama', 'test', 'fixtures', 'stories260K')
export const encoder = join(root, 'packages', 'transformer', 'test', 'fixtures', 'pipelines', 'fill-mask')

/** Messages one after another, and the tools, as one text. */
const chatTemplate =
  '{{ bos_token }}{% if tools %}{{ tools[0].function.name }} {% endif %}{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}{% endif %}'

/** `heed serve` as a user runs it, on a free port. */
export class RunningServer {
  stderr = ''
  readonly exitCode: Promise<number | null>

  private constructor(
    readonly child: ChildProcess,
    readonly url: string,
    private readonly folder: string,
  ) {
    this.exitCode = new Promise(resolve => child.on('close', resolve))
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk
    })
  }

  /** With a chat template for all models, unless `hasTemplate` is false. */
  static async start(models: string[], options: string[] = [], hasTemplate = true): Promise<RunningServer> {
    const folder = mkdtempSync(join(tmpdir(), 'heed-serve-'))
    const template = join(folder, 'chat.jinja')
    writeFileSync(template, chatTemplate)
    const args = [
      main,
      'serve',
      ...models,
      '--port',
      '0',
      ...(hasTemplate ? ['--chat-template', template] : []),
      ...options,
    ]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const url = await new Promise<string>((resolve, reject) => {
      let text = ''
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        const found = /Listening on (\S+)/.exec(text)
        if (found) resolve(found[1]!)
      })
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      child.on('close', code => reject(new Error(`heed serve ended with ${code}: ${text}`)))
    })
    return new RunningServer(child, url, folder)
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exitCode
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Texts under way and waiting. */
  async load(): Promise<{ live: number; waiting: number }> {
    const { live, waiting } = (await (await fetch(`${this.url}/health`)).json()) as { live: number; waiting: number }
    return { live, waiting }
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    for (let i = 0; i < 200; i++) {
      if ((await this.load()).live === 0) return
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error('the server is still busy')
  }

  /** Status and JSON of a POST of any body. */
  async post(
    path: string,
    body: BodyInit,
    headers: Record<string, string> = {},
  ): Promise<[status: number, answer: unknown]> {
    const response = await fetch(`${this.url}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    })
    return [response.status, await response.json()]
  }
}
