import { ggmlTypes } from '../files/gguf/types.ts'

/** Kinds of weights that kernels compute with as they are; numbered as in kernels/quantized.cc. */
export const quantizedKinds = { Q8_0: 0, Q4_0: 1, Q4_K: 2, Q6_K: 3, F16: 4, BF16: 5 } as const

/** ggml's blocks of 8, 4, 4 and 6 bits, and 16-bit floats. */
export type QuantizedType = keyof typeof quantizedKinds

/** Whether a type of a GGUF or safetensors file is one that `QuantizedWeight` keeps as it is. */
export function isQuantizedType(type: string): type is QuantizedType {
  return Object.hasOwn(quantizedKinds, type)
}

/** Rows of a strip, as in kernels/quantized.cc. */
export const STRIP_ROWS = 16

/** Bytes of a strip for each block of a row, as in kernels/quantized.cc. */
const stripBytes: Record<QuantizedType, number> = { Q8_0: 544, Q4_0: 288, Q4_K: 2368, Q6_K: 3360, F16: 32, BF16: 32 }

/** Bytes of `count` weights as files have them. */
export function bytesOf(type: QuantizedType, count: number): number {
  return (count / ggmlTypes[type].elements) * ggmlTypes[type].bytes
}

/** Bytes of a strip of 16 rows. */
export function stripBytesOf(type: QuantizedType, cols: number): number {
  return (cols / ggmlTypes[type].elements) * stripBytes[type]
}

/** Bytes of the strips of a weight. */
export function allStripBytes(type: QuantizedType, rows: number, cols: number): number {
  return Math.ceil(rows / STRIP_ROWS) * stripBytesOf(type, cols)
}

/** Floats of the room in which a kernel rounds x [rows, cols] to 8 bits: quanta, scales and sums, 11 / 32 for each column. */
export function quantaFloats(type: QuantizedType, rows: number, cols: number): number {
  return type.startsWith('Q') ? (rows * cols * 11) / 32 : 0
}
