import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { heedErrorCodes } from '../src/index.ts'

test('the README lists every error code with its meaning', () => {
  const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8')
  const listed = Object.fromEntries(
    Array.from(readme.matchAll(/^\| `(HEED_\w+)` \| (.*) \|$/gm), ([, code, meaning]) => [code, meaning]),
  )
  expect(listed).toEqual(heedErrorCodes)
})
