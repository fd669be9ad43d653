import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CliResult, heed } from './run-cli.ts'

const root = join(import.meta.dirname, '../../..')
const stories = join(root, 'packages/llama/test/fixtures/stories260K')
const main = join(root, 'apps/cli/dist/main.js')
let folder: string
let text: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-full-'))
  text = join(folder, 'text.txt')
  writeFileSync(text, readFileSync(join(root, 'data/tiny-shakespeare.txt'), 'utf8').slice(0, 100_000))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the command where no file may be larger than so many kilobytes: writing more fails, as on a full disk. */
function heedWithLimit(kilobytes: number, args: string[]): Promise<CliResult> {
  const command = `ulimit -f ${kilobytes} && exec "$@"`
  return new Promise(resolve => {
    const child = execFile('bash', ['-c', command, 'bash', process.execPath, main, ...args], (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

const tooLarge =
  'writing failed: the file is larger than is allowed (EFBIG). Raise the limit (ulimit -f), or take a disk that holds large files.'

// Windows has no such limit
test.skipIf(process.platform === 'win32')(
  'a checkpoint that does not fit ends the run by one error, and the run goes on from the one before',
  async () => {
    const out = join(folder, 'run')
    const args = [
      'finetune',
      stories,
      text,
      '--out',
      out,
      '--block-size',
      '32',
      '--batch-size',
      '2',
      '--save-steps',
      '2',
    ]
    expect((await heed([...args, '--steps', '4', '--json'])).code).toBe(0)
    const { code, stderr } = await heedWithLimit(512, [...args, '--steps', '8', '--resume'])
    expect(code).toBe(1)
    expect(stderr.split('\n').filter(line => line.startsWith('error'))).toEqual([
      `error: ${out}/tmp-checkpoint-6/model.safetensors: ${tooLarge}`,
    ])
    expect(stderr).not.toContain(' at ') // no stack
    expect(readdirSync(out).filter(name => name.includes('checkpoint'))).toEqual(['checkpoint-4'])
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('failed after step 6: ')
    const resumed = await heed([...args, '--steps', '8', '--resume', '--json'])
    expect(resumed.code, resumed.stdout).toBe(0)
    expect(JSON.parse(resumed.stdout.trim().split('\n').at(-1)!).globalStep).toBe(8)
  },
)

test.skipIf(process.platform === 'win32')(
  'a corpus or a model that does not fit is one error, and nothing is there that looks complete',
  async () => {
    const [tokens, copy] = [join(folder, 'tokens'), join(folder, 'copy')]
    const prepared = await heedWithLimit(16, ['data', 'prepare', text, '--tokenizer', stories, '--out', tokens])
    expect(prepared.stderr).toBe(`error: ${tokens}/tokens-00000.bin: ${tooLarge}\n`)
    const converted = await heedWithLimit(16, ['convert', stories, copy])
    expect(converted.stderr).toBe(`error: ${copy}/model.safetensors: ${tooLarge}\n`)
    expect([prepared.code, converted.code]).toEqual([1, 1])
    expect(readdirSync(tokens)).toEqual([])
    expect(readdirSync(copy).filter(name => /safetensors|tmp/.test(name))).toEqual([])
  },
)
