import { expect, test } from 'vitest'
import { HeedError, heedErrorCodes, isHeedError } from '../src/errors.ts'

test('an error carries its code, message and cause, and is known across copies of the package by its name', () => {
  const cause = new Error('disk')
  const error = new HeedError('HEED_IO', 'x: writing failed.', { cause })
  expect(error).toMatchObject({ name: 'HeedError', code: 'HEED_IO', message: 'x: writing failed.', cause })
  const foreign = Object.assign(new Error('x'), { name: 'HeedError', code: 'HEED_IO' })
  expect([error, foreign, cause, 'x', null].map(isHeedError)).toEqual([true, true, false, false, false])
})

test('every code has its prefix and a meaning', () => {
  for (const [code, meaning] of Object.entries(heedErrorCodes)) {
    expect(code).toMatch(/^HEED_[A-Z_]+$/)
    expect(meaning).not.toBe('')
  }
})
