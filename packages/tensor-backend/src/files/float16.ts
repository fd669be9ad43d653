/** The float32 bits of all 65,536 float16 values: one look-up is faster than taking bits apart (256 KB, made on first use). */
let halfTable: Uint32Array | undefined

function makeHalfTable(): Uint32Array {
  const values = new Float32Array(65536)
  const bits = new Uint32Array(values.buffer)
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16
    const exponent = (half >>> 10) & 0x1f
    const fraction = half & 0x3ff
    if (exponent === 0) values[half] = (sign ? -1 : 1) * fraction * 2 ** -24
    else if (exponent === 31) bits[half] = sign | 0x7f800000 | (fraction << 13)
    else bits[half] = sign | ((exponent + 112) << 23) | (fraction << 13)
  }
  return bits
}

/** IEEE 754 binary16 bits -> float32, exactly; NaN keeps its payload. */
export function float32FromFloat16(bits: Uint16Array): Float32Array {
  halfTable ??= makeHalfTable()
  const out = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = halfTable[bits[i]!]!
  return new Float32Array(out.buffer)
}

/** bfloat16 bits -> float32, exactly: the upper half of a float32. */
export function float32FromBfloat16(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16
  return new Float32Array(out.buffer)
}

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** float32 bits -> binary16 bits, rounding to nearest, ties to even (IEEE 754 4.3.1); too large gives infinity, NaN a quiet NaN. */
function halfFromBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff)
  if (magnitude >= 0x47800000) return sign | 0x7c00 // 65536 and more
  if (magnitude >= 0x38800000) {
    // Normal: move the exponent bias from 127 to 15; a carry out of the fraction rightly raises the exponent.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
  }
  // Subnormal: one unit in the last place of 0.5 is 2^-24, so the float32 addition itself rounds to even.
  scratchBits[0] = magnitude
  scratch[0] = scratch[0]! + 0.5
  return sign | (scratchBits[0] - 0x3f000000)
}

/** float32 -> binary16 bits, rounding to nearest, ties to even; too large gives infinity, NaN a quiet NaN. */
export function float16FromFloat32(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const out = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) out[i] = halfFromBits(bits[i]!)
  return out
}

/** `float16FromFloat32` of one number. */
export function float16FromNumber(value: number): number {
  scratch[0] = value
  return halfFromBits(scratchBits[0]!)
}

/** float32 -> bfloat16 bits, rounding to nearest, ties to even; NaN stays a quiet NaN. */
export function bfloat16FromFloat32(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const out = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const x = bits[i]!
    out[i] = (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16
  }
  return out
}

/** One binary16 value as a number, for block formats whose scales are halves. */
export function numberFromFloat16(bits: number): number {
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent ? sign * (1024 + fraction) * 2 ** (exponent - 25) : sign * fraction * 2 ** -24
}
