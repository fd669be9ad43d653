import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import * as trainer from '../src/index.ts'

const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8')

test('the program of the README prints what its comments say', () => {
  const program = /```ts\n([\s\S]*?)```/.exec(readme)![1]!
  const expected = Array.from(program.matchAll(/^console\.log.* \/\/ (.*)$/gm), ([, output]) => output)
  const { outputText: input } = ts.transpileModule(program, {
    fileName: 'readme.ts',
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
  })
  const hooks = join(import.meta.dirname, '../../../tooling/scripts/typescript-hooks.mjs')
  const flags = ['--conditions=@heed/source', '--import', hooks, '--input-type=module']
  const { stdout } = spawnSync(process.execPath, flags, { input, cwd: import.meta.dirname, encoding: 'utf8' })
  expect(stdout.trim().split('\n')).toEqual(expected)
})

test('the README lists every value that the package exports', () => {
  const table = readme.slice(readme.indexOf('## What it exports'), readme.indexOf('## Does not'))
  const listed = new Set(Array.from(table.matchAll(/`(\w+)/g), ([, name]) => name))
  expect(Object.keys(trainer).filter(name => !listed.has(name))).toEqual([])
})
