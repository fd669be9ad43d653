import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'

// Every ```ts block of a README is run, and what it prints must be what its comments say: `console.log(x) // 42`.
const root = join(import.meta.dirname, '..', '..')
const scratch = join(import.meta.dirname, 'readme-blocks') // inside this package, so that imports resolve
mkdirSync(scratch, { recursive: true })
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const readmes = ['README.md', ...readdirSync(join(root, 'packages')).map(name => join('packages', name, 'README.md'))]

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

for (const path of readmes) {
  for (const [i, block] of blocksOf(path).entries()) {
    test(`example ${i + 1} of ${path} runs and prints what it says`, async () => {
      const file = join(scratch, `${path.replaceAll('/', '-')}-${i}.ts`)
      writeFileSync(file, block)
      const printed: string[] = []
      const log = vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(values.join(' ')))
      vi.spyOn(process, 'cwd').mockReturnValue(root)
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
