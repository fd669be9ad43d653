interface Tolerance {
  /** Absolute tolerance. */
  atol?: number
  /** Tolerance relative to the expected value. */
  rtol?: number
}

/** Passes when |actual - expected| <= atol + rtol * |expected| for each element, as `numpy.allclose`; NaN equals nothing. */
export function toBeAllclose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { atol = 1e-5, rtol = 1e-5 }: Tolerance = {},
): { pass: boolean; message: () => string } {
  if (actual.length !== expected.length) {
    return { pass: false, message: () => `length is ${actual.length}, expected ${expected.length}` }
  }
  let worst = -1
  let worstExcess = 0
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!
    const e = expected[i]!
    const excess = a === e ? 0 : Math.abs(a - e) - (atol + rtol * Math.abs(e))
    if (!(excess <= 0) && (worst < 0 || excess > worstExcess || Number.isNaN(excess))) {
      worst = i
      worstExcess = excess
    }
  }
  return {
    pass: worst < 0,
    message: () =>
      worst < 0
        ? `all ${expected.length} elements are within atol ${atol}, rtol ${rtol}`
        : `element ${worst} is ${actual[worst]}, expected ${expected[worst]} within atol ${atol}, rtol ${rtol}`,
  }
}

declare module 'vitest' {
  // biome-ignore lint/suspicious/noExplicitAny: a merged interface repeats its type parameters to the letter
  interface Matchers<T = any> {
    toBeAllclose(expected: ArrayLike<number>, tolerance?: Tolerance): T
  }
}
