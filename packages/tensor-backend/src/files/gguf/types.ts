/**
 * Every tensor type that GGUF files carry, by its number: `elements` of a row take `bytes` (gguf-py constants.py).
 * Those without a dequantizer here can be listed and copied.
 */
export const ggmlTypes = {
  F32: { id: 0, elements: 1, bytes: 4 },
  F16: { id: 1, elements: 1, bytes: 2 },
  Q4_0: { id: 2, elements: 32, bytes: 18 },
  Q4_1: { id: 3, elements: 32, bytes: 20 },
  Q5_0: { id: 6, elements: 32, bytes: 22 },
  Q5_1: { id: 7, elements: 32, bytes: 24 },
  Q8_0: { id: 8, elements: 32, bytes: 34 },
  Q8_1: { id: 9, elements: 32, bytes: 40 },
  Q2_K: { id: 10, elements: 256, bytes: 84 },
  Q3_K: { id: 11, elements: 256, bytes: 110 },
  Q4_K: { id: 12, elements: 256, bytes: 144 },
  Q5_K: { id: 13, elements: 256, bytes: 176 },
  Q6_K: { id: 14, elements: 256, bytes: 210 },
  Q8_K: { id: 15, elements: 256, bytes: 292 },
  IQ2_XXS: { id: 16, elements: 256, bytes: 66 },
  IQ2_XS: { id: 17, elements: 256, bytes: 74 },
  IQ3_XXS: { id: 18, elements: 256, bytes: 98 },
  IQ1_S: { id: 19, elements: 256, bytes: 50 },
  IQ4_NL: { id: 20, elements: 32, bytes: 18 },
  IQ3_S: { id: 21, elements: 256, bytes: 110 },
  IQ2_S: { id: 22, elements: 256, bytes: 82 },
  IQ4_XS: { id: 23, elements: 256, bytes: 136 },
  I8: { id: 24, elements: 1, bytes: 1 },
  I16: { id: 25, elements: 1, bytes: 2 },
  I32: { id: 26, elements: 1, bytes: 4 },
  I64: { id: 27, elements: 1, bytes: 8 },
  F64: { id: 28, elements: 1, bytes: 8 },
  IQ1_M: { id: 29, elements: 256, bytes: 56 },
  BF16: { id: 30, elements: 1, bytes: 2 },
  TQ1_0: { id: 34, elements: 256, bytes: 54 },
  TQ2_0: { id: 35, elements: 256, bytes: 66 },
  MXFP4: { id: 39, elements: 32, bytes: 17 },
} as const

export type GgmlType = keyof typeof ggmlTypes

export const ggmlTypeOfId: ReadonlyMap<number, GgmlType> = new Map(
  (Object.keys(ggmlTypes) as GgmlType[]).map(type => [ggmlTypes[type].id, type]),
)

/** Types of metadata values; the place in the list is the number in the file. */
export const ggufTypes = [
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'float32',
  'bool',
  'string',
  'array',
  'uint64',
  'int64',
  'float64',
] as const

export type GgufType = Exclude<(typeof ggufTypes)[number], 'array'>

/** 64-bit integers are numbers while JavaScript holds them exactly, and bigints beyond 2^53. */
export type GgufValue = number | bigint | boolean | string

/** A metadata value with the type it has in the file; of an array, the type of its items. */
export interface GgufField {
  readonly type: GgufType
  readonly value: GgufValue | readonly GgufValue[]
}

/** Where no `general.alignment` says otherwise, tensors begin on multiples of this. */
export const DEFAULT_ALIGNMENT = 32

export const aligned = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment
