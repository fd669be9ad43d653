import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { heed } from './run-cli.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-completion-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const isInstalled = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0

async function scriptOf(shell: string): Promise<string> {
  const path = join(folder, `heed.${shell}`)
  writeFileSync(path, (await heed(['completion', shell])).stdout)
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
  const settled = async (config: object | string, args: string[]) => {
    const path = join(folder, 'config.json')
    writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config))
    return heed(args, { env: { HEED_CONFIG: path } })
  }
  const model = join(import.meta.dirname, '..', '..', '..', 'packages', 'llama', 'test', 'fixtures', 'stories260K')

  test('gives defaults, which the command line goes before', async () => {
    const config = { generate: { temperature: 0, 'max-new-tokens': 3 } }
    const args = ['generate', model, 'Once upon a time']
    expect((await settled(config, args)).stdout).toBe('Once upon a time, there was\n')
    expect((await settled(config, [...args, '--max-new-tokens', '2'])).stdout).toBe('Once upon a time, there\n')
  })

  test.each([
    ['{', /^error: .*config\.json: the file is ".*", expected JSON\. Mend it, or leave it out\.\n$/],
    [{ fly: {} }, /config\.json: "fly" is given, expected the name of a command\. heed --help lists them\.\n$/],
    [
      { generate: { speed: 1 } },
      /generate: "speed" is given, expected an option of heed generate\. heed generate --help lists them\.\n$/,
    ],
    [{ generate: { 'top-k': -1 } }, /generate: top-k is -1, expected a whole number of at least 0\. Change it\.\n$/],
    [{ generate: { json: 'yes' } }, /generate: json is "yes", expected true or false\. Change it\.\n$/],
  ])('that is wrong is one clear error: %j', async (config, message) => {
    const { code, stderr } = await settled(config, ['doctor'])
    expect(stderr).toMatch(message)
    expect(code).toBe(1)
  })
})
