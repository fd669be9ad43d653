import { expect, test } from 'vitest'
import { nearestName } from '../src/nearest-name.ts'

const names = ['maxLength', 'stride', 'strategy', 'direction', 'pair', 'padId']

test.each([
  ['max_length', 'maxLength'],
  ['MAX-LENGTH', 'maxLength'],
  ['maxLenght', 'maxLength'],
  ['maxLen', undefined],
  ['strde', 'stride'],
  ['sstride', 'stride'],
  ['strode', 'stride'],
  ['padd', 'padId'],
  ['pairs', 'pair'],
  ['par', 'pair'],
  ['', undefined],
  ['truncation', undefined],
])('%s means %s', (name, meant) => {
  expect(nearestName(name, names)).toBe(meant)
})
