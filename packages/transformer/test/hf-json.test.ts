import { expect, test } from 'vitest'
import { hfJsonText, wholeFloats, withWholeFloats } from '../src/hf-json.ts'

const text = '{"b": 0.0, "a": {"c": 1.50, "theta": 10000.0}, "d": 2, "e": "x: 1.0", "f": [1.0], "g":-3.00}'

test('whole floats are told from whole numbers by the text, at any depth', () => {
  expect(withWholeFloats(JSON.parse(text), text)[wholeFloats]).toEqual(['b', 'theta', 'g'])
})

test('whole numbers under float keys are written as floats, all else as JSON does, keys in order', () => {
  const value = { d: 2, b: 0, a: { theta: 10000, c: 1.5 }, e: 'b: 0', g: -3, h: null }
  expect(hfJsonText(value, ['b', 'theta', 'g', 'h', 'e'])).toBe(`{
  "a": {
    "theta": 10000.0,
    "c": 1.5
  },
  "b": 0.0,
  "d": 2,
  "e": "b: 0",
  "g": -3.0,
  "h": null
}
`)
})
