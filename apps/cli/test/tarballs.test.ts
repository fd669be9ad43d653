import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..', '..')
const stories = join(root, 'packages', 'llama', 'test', 'fixtures', 'stories260K')
const sources = [
  ...readdirSync(join(root, 'packages')).map(name => join(root, 'packages', name)),
  join(root, 'apps', 'cli'),
]

interface Manifest {
  name: string
  version: string
  dependencies?: Record<string, string>
}

let project: string

/** Every package as npm would unpack it, in a project that has nothing else; what others made is linked from the repository. */
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'heed-tarballs-'))
  const modules = join(project, 'node_modules')
  const pnpm = join(root, 'node_modules', 'pnpm', 'bin', 'pnpm.cjs')
  const published = ['--filter', './packages/*', '--filter', './apps/cli']
  execFileSync(process.execPath, [pnpm, '-r', ...published, 'pack', '--pack-destination', project], {
    cwd: root,
    stdio: 'pipe',
  })
  for (const tarball of readdirSync(project).filter(name => name.endsWith('.tgz'))) {
    execFileSync('tar', ['-xzf', tarball], { cwd: project })
    const { name } = JSON.parse(readFileSync(join(project, 'package', 'package.json'), 'utf8')) as Manifest
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    cpSync(join(project, 'package'), join(modules, name), { recursive: true })
    rmSync(join(project, 'package'), { recursive: true })
  }
  for (const source of sources) {
    for (const name of Object.keys(manifest(source).dependencies ?? {}))
      link(join(source, 'node_modules', name), join(modules, name))
  }
  link(join(root, 'node_modules', '@types', 'node'), join(modules, '@types', 'node'))
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }))
}, 300_000)
afterAll(() => rmSync(project, { recursive: true, force: true }))

const manifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest

function link(target: string, path: string): void {
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path)
}

/** Runs Node in the empty project; WebAssembly, since no addon is in a tarball. */
function node(...args: string[]): string {
  const env = { ...process.env, HEED_BACKEND: 'wasm', NODE_OPTIONS: '' }
  return execFileSync(process.execPath, args, { cwd: project, env, encoding: 'utf8' })
}

const names = sources.map(source => manifest(source).name)

test('tarballs hold a README and nothing of the build but its output, and depend on each other by version', () => {
  for (const name of names) {
    const folder = join(project, 'node_modules', name)
    const { dependencies = {} } = manifest(folder)
    expect(Object.values(dependencies).filter(version => version.includes('workspace'))).toEqual([])
    expect(existsSync(join(folder, 'README.md')), name).toBe(true)
    expect(existsSync(join(folder, 'dist', '.tsbuildinfo')), name).toBe(false)
  }
})

test('each package is imported, and a model writes', () => {
  const libraries = names.filter(name => name !== '@heed/cli')
  writeFileSync(
    join(project, 'main.mjs'),
    `${libraries.map((name, i) => `import * as m${i} from ${JSON.stringify(name)}`).join('\n')}
import { AutoModelForCausalLM, init, Tokenizer } from 'heed'
await init()
const tokenizer = await Tokenizer.fromPretrained(process.argv[2])
const model = await AutoModelForCausalLM.fromPretrained(process.argv[2])
const [ids] = await model.generate([[...tokenizer.encode('Once upon a time').ids]], { maxNewTokens: 9 })
console.log(tokenizer.decode(ids))
`,
  )
  expect(node('main.mjs', stories)).toBe('Once upon a time, there was a little girl named\n')
})

test('the command runs from its tarball', () => {
  const heed = join('node_modules', '@heed', 'cli', 'bin', 'heed.js')
  expect(node(heed, '--version')).toBe(`${manifest(join(root, 'apps', 'cli')).version}\n`)
  const text = node(heed, 'generate', stories, 'Once upon a time', '--temperature', '0', '--max-new-tokens', '3')
  expect(text).toBe('Once upon a time, there was\n')
})

test.each(['nodenext', 'bundler'])('TypeScript finds the types with moduleResolution %s', resolution => {
  writeFileSync(
    join(project, 'main.ts'),
    `import { AutoModelForCausalLM, BatchScheduler, type GenerateOptions, Tokenizer } from 'heed'
import { Linear } from '@heed/layers'
const options: GenerateOptions = { maxNewTokens: 3 }
export const write = async (folder: string): Promise<number[][]> =>
  (await AutoModelForCausalLM.fromPretrained(folder)).generate([[1]], options)
export const size: number = new Linear(2, 3).weight.size
// @ts-expect-error: a setting by a name that there is not.
export const wrong: GenerateOptions = { maxNewToken: 3 }
export { BatchScheduler, Tokenizer }
`,
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const module = resolution === 'nodenext' ? 'nodenext' : 'esnext'
  const flags = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2023', '--module', module]
  node(tsc, ...flags, '--moduleResolution', resolution, 'main.ts')
})
