import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseStrictJson, shown } from '../../src/files/strict-json.ts'

test('a short value is shown as JSON', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const text = JSON.stringify(value)
      if (text.length <= 80 && !text.includes('-0')) expect(shown(value)).toBe(text)
    }),
  )
})

test('what JSON has no word for is shown too', () => {
  expect([2n ** 70n, Number.NaN, undefined, [1n]].map(shown)).toEqual([
    '1180591620717411303424',
    'NaN',
    'undefined',
    '[1]',
  ])
})

test('a value that is long, deep, or holds itself is cut', () => {
  const self: unknown[] = []
  self.push(self, self)
  let deep: unknown = 0
  for (let i = 0; i < 100_000; i++) deep = [deep]
  for (const value of ['x'.repeat(1e6), self, deep, Array(1e6).fill(1), { a: self, b: self }]) {
    expect(shown(value)).toHaveLength(83)
    expect(shown(value).endsWith('...')).toBe(true)
  }
})

test('JSON without repeated keys is parsed as by JSON.parse', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(undefined, 2), (json, indent) => {
      const text = JSON.stringify(JSON.parse(json), null, indent)
      expect(parseStrictJson(text, 'x')).toEqual(JSON.parse(text))
    }),
  )
})

test.each([
  ['{"a":1,"a":2}', 'a'],
  ['{"a":{"b":1},"c":[{"d":1,"e":[],"d":2}]}', 'd'],
  ['[{"a\\"":1, "b":"a", "a\\"" : 2}]', 'a"'],
  ['{"\\u0061":1,"a":2}', 'a'],
])('a key twice in %s is refused', (json, key) => {
  expect(() => parseStrictJson(json, 'x')).toThrow(
    `x: key ${JSON.stringify(key)} appears twice, expected each key once.`,
  )
})

test.each(['{"a":1,"b":{"a":1}}', '[{"a":1},{"a":1}]', '{"a":"a","b":"{\\"a\\":1,\\"a\\":2}"}'])(
  'the same key in different objects, or in text, is no repetition: %s',
  json => {
    expect(parseStrictJson(json, 'x')).toEqual(JSON.parse(json))
  },
)
