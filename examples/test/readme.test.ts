import {
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
import { join } from 'node:path'
import { format } from 'node:util'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

// Every ```ts block of a README is run, and what it prints must be what its comments say: `console.log(x) // 42`.
const root = join(import.meta.dirname, '..', '..')
const blocks = join(import.meta.dirname, 'readme-blocks') // inside this package, so that imports resolve
const folder = mkdtempSync(join(tmpdir(), 'heed-readme-')) // what a program reads is linked here, what it writes stays here

beforeAll(() => {
  mkdirSync(blocks, { recursive: true })
  for (const name of ['data', 'examples', 'packages']) symlinkSync(join(root, name), join(folder, name))
  process.chdir(folder)
})
afterAll(() => {
  process.chdir(root)
  rmSync(blocks, { recursive: true, force: true })
  rmSync(folder, { recursive: true, force: true })
})

const readmes = ['README.md', ...readdirSync(join(root, 'packages')).map(name => join('packages', name, 'README.md'))]
const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.md') && !name.startsWith('api'))
  .map(name => join('docs', name))
const [translations, originals] = [docs.filter(path => /zh/.test(path)), docs.filter(path => !/zh/.test(path))]

test('every package has a README', () => {
  expect(readmes.filter(path => !existsSync(join(root, path)))).toEqual([])
})

function blocksOf(path: string): string[] {
  if (!existsSync(join(root, path))) return []
  const text = readFileSync(join(root, path), 'utf8')
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(match => match[1]!)
}

function promisedOutput(block: string): string[] {
  return [...block.matchAll(/^\s*console\.log\(.*\) \/\/ (.*)$/gm)].map(match => match[1]!)
}

for (const path of [...readmes, ...originals]) {
  for (const [i, block] of blocksOf(path).entries()) {
    test(`example ${i + 1} of ${path} runs and prints what it says`, async () => {
      const file = join(blocks, `${path.replaceAll('/', '-')}-${i}.ts`)
      writeFileSync(file, block)
      const printed: string[] = []
      const log = vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(format(...values)))
      try {
        await import(file)
      } finally {
        log.mockRestore()
      }
      const promised = promisedOutput(block)
      expect(printed.slice(0, promised.length)).toEqual(promised)
    })
  }
}

test('every page of docs is there in Chinese, with the same programs', () => {
  const zh = (path: string): string => path.replace('docs', join('docs', 'zh'))
  expect(translations.sort()).toEqual(originals.map(zh).sort())
  for (const path of originals) expect(blocksOf(zh(path)), path).toEqual(blocksOf(path))
})

test('links between pages lead somewhere', () => {
  for (const path of [...readmes, ...docs, 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'examples/README.md']) {
    const links = readFileSync(join(root, path), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)
    const dead = Array.from(links, ([, link]) => link!).filter(link => !existsSync(join(root, path, '..', link)))
    expect(dead, path).toEqual([])
  }
})
