/** Mixes integers into one of 32 bits: the finaliser of MurmurHash3, chained. The same numbers always give the same result. */
export function hash(...numbers: number[]): number {
  let h = 0x9e3779b9
  for (const number of numbers) {
    h = Math.imul(h ^ (number | 0) ^ Math.trunc(number / 2 ** 32), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h = (h ^ (h >>> 16)) + 0x9e3779b9
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Feistel rounds: with four, neighbours of the input are no longer neighbours of the output. */
const rounds = 4

/**
 * Place of `index` in a random order of 0 .. size - 1, without storing the order: a Feistel network over the next
 * power of four, walked until it lands inside (Black & Rogaway 2002). A shuffle of a billion windows costs no memory,
 * and its state is its seed.
 */
export function permuted(index: number, size: number, seed: number): number {
  const halfBits = Math.max(1, Math.ceil(Math.log2(Math.max(2, size)) / 2))
  const half = 2 ** halfBits
  let place = index
  do {
    let left = Math.floor(place / half)
    let right = place % half
    for (let round = 0; round < rounds; round++) {
      const mixed = (left ^ hash(seed, round, right)) & (half - 1)
      left = right
      right = mixed
    }
    place = left * half + right
  } while (place >= size)
  return place
}
