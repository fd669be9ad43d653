/**
 * A seeded generator of random numbers, the same on every platform: xoshiro128** (Blackman & Vigna 2018,
 * arXiv:1805.01407), seeded by splitmix32.
 */
export class Random {
  readonly #state = new Uint32Array(4)

  constructor(seed: number) {
    let s = seed >>> 0
    for (let i = 0; i < 4; i++) {
      s = (s + 0x9e3779b9) >>> 0
      let z = s
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      this.#state[i] = z ^ (z >>> 15)
    }
  }

  /** A whole number from 0 to 2³² - 1. */
  uint32(): number {
    const state = this.#state
    const s0 = state[0]!
    const s1 = state[1]!
    const scrambled = Math.imul(s1, 5)
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0
    const mixed2 = state[2]! ^ s0
    const mixed3 = state[3]! ^ s1
    state[0] = s0 ^ mixed3
    state[1] = s1 ^ mixed2
    state[2] = mixed2 ^ (s1 << 9)
    state[3] = (mixed3 << 11) | (mixed3 >>> 21)
    return result
  }

  /** From 0 (included) to 1 (excluded). */
  uniform(): number {
    return this.uint32() / 2 ** 32
  }

  /** Mean 0, standard deviation 1. Marsaglia's polar method, one of the two values it makes. */
  normal(): number {
    for (;;) {
      const x = 2 * this.uniform() - 1
      const y = 2 * this.uniform() - 1
      const square = x * x + y * y
      if (square > 0 && square < 1) return x * Math.sqrt((-2 * Math.log(square)) / square)
    }
  }

  /** The four words of the state, to go on from here later with `restore`. */
  save(): number[] {
    return [...this.#state]
  }

  restore(state: readonly number[]): void {
    this.#state.set(state)
  }
}
