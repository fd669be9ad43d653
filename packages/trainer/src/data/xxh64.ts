/**
 * XXH64 with seed 0, the hash that Zstandard checks its frames by, of bytes that come in pieces. The bulk is computed in
 * halves of 32 bits, some eight times as fast as BigInt; the rest of under 32 bytes in BigInt.
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
export class Xxh64 {
  /** Four accumulators, each its low half and its high half. */
  readonly #lanes = new Int32Array(8)
  #rest: Uint8Array = new Uint8Array(0)
  #length = 0

  constructor() {
    for (const [i, start] of [prime1 + prime2, prime2, 0n, -prime1].entries()) {
      this.#lanes[2 * i] = Number(BigInt.asIntN(32, start))
      this.#lanes[2 * i + 1] = Number(BigInt.asIntN(32, start >> 32n))
    }
  }

  update(piece: Uint8Array): void {
    const bytes = new Uint8Array(this.#rest.length + piece.length)
    bytes.set(this.#rest)
    bytes.set(piece, this.#rest.length)
    const end = bytes.length - (bytes.length % 32)
    const words = new Int32Array(bytes.buffer, 0, end / 4) // little-endian, as every machine that runs JavaScript
    for (let i = 0; i < words.length; i += 2) round(this.#lanes, i & 6, words[i]!, words[i + 1]!)
    this.#rest = bytes.slice(end)
    this.#length += piece.length
  }

  digest(): bigint {
    const lanes = [0, 2, 4, 6].map(i => join(this.#lanes[i]!, this.#lanes[i + 1]!))
    let hash = prime5
    if (this.#length >= 32) {
      hash = u64(rotated(lanes[0]!, 1n) + rotated(lanes[1]!, 7n) + rotated(lanes[2]!, 12n) + rotated(lanes[3]!, 18n))
      for (const lane of lanes) hash = u64((hash ^ mixed(lane)) * prime1 + prime4)
    }
    hash = u64(hash + BigInt(this.#length))
    const rest = new DataView(this.#rest.buffer, 0, this.#rest.length)
    let at = 0
    for (; at + 8 <= rest.byteLength; at += 8) {
      hash = u64(rotated(hash ^ mixed(rest.getBigUint64(at, true)), 27n) * prime1 + prime4)
    }
    if (at + 4 <= rest.byteLength) {
      hash = u64(rotated(hash ^ u64(BigInt(rest.getUint32(at, true)) * prime1), 23n) * prime2 + prime3)
      at += 4
    }
    for (; at < rest.byteLength; at++) hash = u64(rotated(hash ^ u64(BigInt(rest.getUint8(at)) * prime5), 11n) * prime1)
    hash = u64((hash ^ (hash >> 33n)) * prime2)
    hash = u64((hash ^ (hash >> 29n)) * prime3)
    return hash ^ (hash >> 32n)
  }
}

const prime1 = 0x9e3779b185ebca87n
const prime2 = 0xc2b2ae3d27d4eb4fn
const prime3 = 0x165667b19e3779f9n
const prime4 = 0x85ebca77c2b2ae63n
const prime5 = 0x27d4eb2f165667c5n

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value)
const join = (low: number, high: number): bigint => BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n)
const rotated = (value: bigint, by: bigint): bigint => u64(value << by) | (value >> (64n - by))
/** A round whose accumulator was 0. */
const mixed = (value: bigint): bigint => u64(rotated(u64(value * prime2), 31n) * prime1)

/** lane = rotate(lane + word * prime2, 31) * prime1 */
function round(lanes: Int32Array, lane: number, wordLow: number, wordHigh: number): void {
  const productHigh = timesHigh(wordLow, 0x27d4eb4f) + Math.imul(wordHigh, 0x27d4eb4f) + Math.imul(wordLow, 0xc2b2ae3d)
  const low = (lanes[lane]! >>> 0) + (Math.imul(wordLow, 0x27d4eb4f) >>> 0)
  const high = (lanes[lane + 1]! + productHigh + (low > 0xffffffff ? 1 : 0)) | 0
  const turnedLow = (low << 31) | (high >>> 1)
  const turnedHigh = (high << 31) | ((low | 0) >>> 1)
  lanes[lane] = Math.imul(turnedLow, 0x85ebca87)
  lanes[lane + 1] =
    timesHigh(turnedLow, 0x85ebca87) + Math.imul(turnedHigh, 0x85ebca87) + Math.imul(turnedLow, 0x9e3779b1)
}

/** The high half of the product of two unsigned numbers of 32 bits. */
function timesHigh(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16]
  const middle = (Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bLow) >>> 16)
  const other = (Math.imul(aLow, bHigh) >>> 0) + (middle & 0xffff)
  return Math.imul(aHigh, bHigh) + Math.trunc(middle / 0x10000) + Math.trunc(other / 0x10000)
}
