import { expect, test } from 'vitest'
import { checkOptionNames, init } from '../src/index.ts'

const many = Array.from({ length: 21 }, (_, i) => `optionNumber${i}`)

test.each<[unknown, string[], string]>([
  [{ rank: 1 }, ['r', 'alpha'], 'rank is not an option, expected one of r, alpha. Rename it or leave it out.'],
  [{ max_steps: 1 }, ['maxSteps', 'seed'], 'max_steps is not an option, expected maxSteps. Rename it or leave it out.'],
  [{ rank: 1 }, ['seed'], 'rank is not an option, expected seed. Rename it or leave it out.'],
  [{ rank: 1 }, many, "rank is not an option, expected a name of HF's in camelCase. Rename it or leave it out."],
  [42, ['seed'], 'the options are 42, expected an object with seed. Give each by its name: { seed: ... }.'],
  [
    null,
    many,
    'the options are null, expected an object with options by their names. Give each by its name: { optionNumber0: ... }.',
  ],
])('%j are refused', (options, known, said) => {
  expect(() => checkOptionNames('make', options, known)).toThrow(
    expect.objectContaining({ code: 'HEED_ARGUMENT_INVALID', message: `make: ${said}` }),
  )
})

test('known names and those that are undefined are taken', () => {
  expect(() => checkOptionNames('make', { seed: 1, rank: undefined }, ['seed'])).not.toThrow()
  expect(() => checkOptionNames('make', { rank: 1 }, ['seed'], 'HEED_CONFIG_INVALID')).toThrow(
    expect.objectContaining({ code: 'HEED_CONFIG_INVALID' }),
  )
})

test('init refuses them, and threads that are a text', async () => {
  await expect(init({ backnd: 'cpu' } as never)).rejects.toThrow(
    'init: backnd is not an option, expected backend. Rename it or leave it out.',
  )
  await expect(init({ threads: '2' as never })).rejects.toThrow(
    'init: threads is "2", expected a whole number from 1 to 1024. Leave it out for one per core.',
  )
})
