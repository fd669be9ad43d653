import { cpSync, existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type BuildOptions, buildSync } from 'esbuild'
import { chromium } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumArguments, chromiumPath } from '../../../tooling/vitest/chromium.ts'
import { startHost } from '../../demo/test/file-host.ts'
import { EmptyProject, manifest, published, root, stories } from './empty-project.ts'

let project: EmptyProject
beforeAll(() => {
  project = new EmptyProject()
}, 300_000)
afterAll(() => project?.remove())

const libraries = published.filter(name => name !== '@heed/cli')
const story = 'Once upon a time, there was a little girl named'

/** A program that writes `story` to `print`; `folder` is an expression. */
const writer = (folder: string, print: string): string => `
import { AutoModelForCausalLM, init, Tokenizer } from 'heed'
await init({ backend: 'wasm' })
const tokenizer = await Tokenizer.fromPretrained(${folder})
const model = await AutoModelForCausalLM.fromPretrained(${folder})
const [ids] = await model.generate([[...tokenizer.encode('Once upon a time').ids]], { maxNewTokens: 9 })
${print}(tokenizer.decode(ids))
`

test('tarballs hold licence, README and of the build its output alone, and depend on each other by version', () => {
  for (const name of published) {
    const folder = project.installed(name)
    const { dependencies = {} } = manifest(folder)
    expect(Object.values(dependencies).filter(version => version.includes('workspace'))).toEqual([])
    for (const file of ['README.md', 'LICENSE']) expect(existsSync(join(folder, file)), `${name}: ${file}`).toBe(true)
    expect(existsSync(join(folder, 'dist', '.tsbuildinfo')), name).toBe(false)
  }
})

test('each package is imported, and a model writes', () => {
  const imports = libraries.map((name, i) => `import * as m${i} from ${JSON.stringify(name)}`).join('\n')
  project.write('main.mjs', imports + writer('process.argv[2]', 'console.log'))
  expect(project.node('main.mjs', stories)).toBe(`${story}\n`)
})

test('each package is required by CommonJS', () => {
  const counts = libraries.map(name => `Object.keys(require(${JSON.stringify(name)})).length > 5`)
  project.write('main.cjs', `console.log([${counts}].every(Boolean))`)
  expect(project.node('main.cjs')).toBe('true\n')
})

test.each(['@heed/cli', 'heed'])('the command runs from the tarball of %s', name => {
  const heed = join('node_modules', name, 'bin', 'heed.js')
  expect(project.node(heed, '--version')).toBe(`${manifest(join(root, 'apps', 'cli')).version}\n`)
  const text = project.node(
    heed,
    'generate',
    stories,
    'Once upon a time',
    '--temperature',
    '0',
    '--max-new-tokens',
    '3',
  )
  expect(text).toBe('Once upon a time, there was\n')
})

test.each(['nodenext', 'bundler'])('TypeScript finds the types with moduleResolution %s', resolution => {
  project.write(
    'main.ts',
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
  project.node(tsc, ...flags, '--moduleResolution', resolution, 'main.ts')
})

describe('bundlers', () => {
  const html = (script: string): string => `<!doctype html><script type="module" src="${script}"></script>`
  const page = writer("new URL('stories', location.href).href", 'document.body.append')

  const bundle = (options: BuildOptions): unknown =>
    buildSync({ absWorkingDir: project.folder, bundle: true, format: 'esm', logLevel: 'error', ...options })

  /** What the page of a built site shows. */
  async function shown(site: string): Promise<string> {
    cpSync(stories, join(project.folder, site, 'stories'), { recursive: true })
    const host = await startHost(join(project.folder, site))
    const browser = await chromium.launch({ executablePath: chromiumPath!, args: chromiumArguments })
    try {
      const tab = await browser.newPage()
      await tab.goto(`http://127.0.0.1:${(host.address() as AddressInfo).port}/`)
      await tab.waitForFunction("document.body.textContent !== ''")
      return (await tab.textContent('body'))!
    } finally {
      await browser.close()
      host.close()
    }
  }

  test.skipIf(!chromiumPath)('Vite makes a page that writes, the WebAssembly modules among its assets', async () => {
    project.write('page/index.html', html('main.js'))
    project.write('page/main.js', page)
    await build({ root: join(project.folder, 'page'), configFile: false, logLevel: 'error' })
    expect(await shown('page/dist')).toBe(story)
  })

  test.skipIf(!chromiumPath)('esbuild makes a page that writes, with the modules copied to the site', async () => {
    project.write('site/index.html', html('main.js'))
    project.write('main.js', page)
    bundle({ entryPoints: ['main.js'], outdir: 'site' })
    for (const folder of ['build', 'kernels']) {
      const from = join(project.installed('@heed/tensor-backend'), folder)
      cpSync(from, join(project.folder, 'site', folder), { recursive: true })
    }
    expect(await shown('site')).toBe(story)
  })

  test('esbuild makes a program for Node, the packages left outside', () => {
    project.write(
      'program.ts',
      writer('process.argv[2] as string', 'console.log').replace('decode(ids)', 'decode(ids!)'),
    )
    bundle({ entryPoints: ['program.ts'], outfile: 'program.js', platform: 'node', packages: 'external' })
    expect(project.node('program.js', stories)).toBe(`${story}\n`)
  })
})
