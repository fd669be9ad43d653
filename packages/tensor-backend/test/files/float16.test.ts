import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  bfloat16FromFloat32,
  float16FromFloat32,
  float32FromBfloat16,
  float32FromFloat16,
} from '../../src/files/float16.ts'

const bitsOf = (x: number) => new Uint32Array(new Float32Array([x]).buffer)[0]!
const half = (...xs: number[]) => [...float16FromFloat32(new Float32Array(xs))]
const brain = (...xs: number[]) => [...bfloat16FromFloat32(new Float32Array(xs))]
const all16 = Uint16Array.from({ length: 65536 }, (_, i) => i)

test('every float16 goes to float32 and back unchanged, a NaN staying a NaN', () => {
  const floats = float32FromFloat16(all16)
  const back = float16FromFloat32(floats)
  for (let i = 0; i < 65536; i++) {
    if (Number.isNaN(floats[i])) expect(back[i]! & 0x7fff).toBeGreaterThan(0x7c00)
    else expect(back[i]).toBe(i)
  }
})

test('every bfloat16 goes to float32 and back unchanged, a NaN staying a NaN', () => {
  const floats = float32FromBfloat16(all16)
  const back = bfloat16FromFloat32(floats)
  for (let i = 0; i < 65536; i++) {
    if (Number.isNaN(floats[i])) expect(back[i]! & 0x7fff).toBeGreaterThan(0x7f80)
    else expect(back[i]).toBe(i)
  }
})

test('float16 has the values of IEEE 754 binary16', () => {
  expect([
    ...float32FromFloat16(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x3555, 0x7c00, 0xfc00)),
  ]).toEqual([1, -2, 65504, 2 ** -14, 2 ** -14 - 2 ** -24, 2 ** -24, 0.333251953125, Infinity, -Infinity])
  expect(Object.is(float32FromFloat16(Uint16Array.of(0x8000))[0], -0)).toBe(true)
})

test('float16 rounds to nearest with ties to even, up to infinity and down to zero', () => {
  expect(half(1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20)).toEqual([0x3c00, 0x3c02, 0x3c01])
  expect(half(65519.99, 65520, -65520, 1e30)).toEqual([0x7bff, 0x7c00, 0xfc00, 0x7c00])
  expect(half(2 ** -25, 2 ** -25 * (1 + 2 ** -23), 3 * 2 ** -25, -(2 ** -26), 1e-40)).toEqual([0, 1, 2, 0x8000, 0])
  expect(half(2 ** -14 - 2 ** -25, Infinity, -0)).toEqual([0x0400, 0x7c00, 0x8000])
})

test('bfloat16 rounds to nearest with ties to even, up to infinity', () => {
  expect(brain(1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20)).toEqual([0x3f80, 0x3f82, 0x3f81])
  expect(brain(3.4028234663852886e38, -Infinity, -0, 2 ** -149)).toEqual([0x7f80, 0xff80, 0x8000, 0])
})

test('rounding any float32 to 16 bits gives one of the nearest values', () => {
  const nearest = (x: number, rounded: number, below: number, above: number) =>
    Math.abs(x - rounded) <= Math.min(Math.abs(x - below), Math.abs(x - above))
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -65504, max: 65504 }), x => {
      const [h] = half(x)
      const magnitude = h! & 0x7fff
      const sign = h! & 0x8000
      const [rounded, below, above] = float32FromFloat16(
        Uint16Array.of(h!, sign | Math.max(magnitude - 1, 0), sign | Math.min(magnitude + 1, 0x7bff)),
      )
      expect(nearest(x, rounded!, below!, above!)).toBe(true)
      const [b] = brain(x)
      const upper = Uint32Array.of(bitsOf(x) & 0xffff0000, (bitsOf(x) & 0xffff0000) + 0x10000)
      const [towardZero, awayFromZero] = new Float32Array(upper.buffer)
      expect(nearest(x, float32FromBfloat16(Uint16Array.of(b!))[0]!, towardZero!, awayFromZero!)).toBe(true)
    }),
  )
})
