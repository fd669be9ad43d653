import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as trainer from '../src/index.ts'

const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8')

test('the program of the README prints what its comments say', () => {
  const program = /```ts\n([\s\S]*?)```/.exec(readme)![1]!
  const expected = Array.from(program.matchAll(/^console\.log.* \/\/ (.*)$/gm), ([, output]) => output)
  const file = join(import.meta.dirname, 'child', `readme-${process.pid}.ts`)
  writeFileSync(file, program)
  try {
    const hooks = join(import.meta.dirname, 'child', 'typescript-hooks.mjs')
    const { stdout } = spawnSync(process.execPath, ['--conditions=@heed/source', '--import', hooks, file], {
      encoding: 'utf8',
    })
    expect(stdout.trim().split('\n')).toEqual(expected)
  } finally {
    rmSync(file)
  }
})

test('the README lists every value that the package exports', () => {
  const table = readme.slice(readme.indexOf('## What it exports'), readme.indexOf('## Does not'))
  const listed = new Set(Array.from(table.matchAll(/`(\w+)/g), ([, name]) => name))
  expect(Object.keys(trainer).filter(name => !listed.has(name))).toEqual([])
})
