import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateCommand } from '../src/commands/generate.ts'
import { applyConfigFile } from '../src/config-file.ts'
import { heed } from './run-cli.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-completion-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const isInstalled = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0

async function scriptOf(shell: string): Promise<string> {
  const path = join(folder, `heed.${shell}`)
  if (!existsSync(path)) writeFileSync(path, (await heed(['completion', shell])).stdout)
  return path
}

describe('bash completes', () => {
  test.each([
    [['tra'], ['train', 'translate']],
    [['tokenizer', 'e'], ['encode']],
    [['generate', '--max'], ['--max-new-tokens']],
    [['generate', 'model', '--dtype', 'q'], []],
    [
      ['chat', 'model', '--dtype', 'q'],
      ['q8_0', 'q4_0'],
    ],
    [['completion', 'f'], ['fish']],
  ])('%j', async (words, expected) => {
    if (!isInstalled('bash')) return
    const script = `source ${await scriptOf('bash')}; COMP_WORDS=(heed ${words.join(' ')}); COMP_CWORD=${words.length}; _heed; echo "\${COMPREPLY[@]}"`
    expect(execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split(/\s+/).filter(Boolean)).toEqual(
      expected,
    )
  })
})

test.each(['zsh', 'fish'])('the script for %s is one that it reads', async shell => {
  const path = await scriptOf(shell)
  if (isInstalled(shell)) execFileSync(shell, ['--no-execute', path])
})

describe('a config file', () => {
  const write = (config: object | string): string => {
    const path = join(folder, 'config.json')
    writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config))
    return path
  }
  const model = join(import.meta.dirname, '..', '..', '..', 'packages', 'llama', 'test', 'fixtures', 'stories260K')

  test('gives defaults, which the command line goes before', async () => {
    const env = { HEED_CONFIG: write({ generate: { temperature: 0, 'max-new-tokens': 3 } }) }
    const args = ['generate', model, 'Once upon a time']
    expect((await heed(args, { env })).stdout).toBe('Once upon a time, there was\n')
    expect((await heed([...args, '--max-new-tokens', '2'], { env })).stdout).toBe('Once upon a time, there\n')
  })

  test('gives the defaults of a training, also of what hangs on other options', async () => {
    const text = join(folder, 'text.txt')
    writeFileSync(text, 'the quick brown fox jumps over the lazy dog\n'.repeat(60))
    const out = join(folder, 'run')
    const sizes = { 'hidden-size': 16, 'num-hidden-layers': 1, 'block-size': 16, 'vocab-size': 270, 'batch-size': 2 }
    const env = { HEED_CONFIG: write({ train: { ...sizes, 'warmup-steps': 4 } }) }
    expect((await heed(['train', text, '--out', out, '--steps', '8'], { env })).code).toBe(0)
    const [log] = readFileSync(join(out, 'metrics.jsonl'), 'utf8').split('\n')
    const { step, learning_rate } = JSON.parse(log!)
    // cosine: the last step is three quarters of the way from step 4 to step 8
    expect([step, learning_rate]).toEqual([8, expect.closeTo(3e-3 * 0.5 * (1 + Math.cos(0.75 * Math.PI)), 9)])
  })

  test.each([
    ['{', /config\.json: the file is ".*", expected JSON\. Mend it, or leave it out\.$/],
    [{ fly: {} }, /config\.json: "fly" is given, expected the name of a command\. heed --help lists them\.$/],
    [
      { generate: { speed: 1 } },
      /generate: "speed" is given, expected an option of heed generate\. heed generate --help lists them\.$/,
    ],
    [{ generate: { 'top-k': -1 } }, /generate: top-k is -1, expected a whole number of at least 0\. Change it\.$/],
    [{ generate: { json: 'yes' } }, /generate: json is "yes", expected true or false\. Change it\.$/],
  ])('that is wrong is one clear error: %j', (config, message) => {
    const program = new Command('heed').addCommand(generateCommand())
    expect(() => applyConfigFile(program, write(config))).toThrow(message)
  })
})
