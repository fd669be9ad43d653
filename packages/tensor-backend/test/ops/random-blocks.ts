import { ggmlTypes } from '../../src/files/gguf/types.ts'
import type { QuantizedType } from '../../src/ops/quantized-format.ts'
import { noise } from './conformance.ts'

/** Where the float16 scales of a block lie: anywhere else any byte is a valid block. */
const scaleBytes: Record<QuantizedType, number[]> = {
  Q8_0: [0],
  Q4_0: [0],
  Q4_K: [0, 2],
  Q6_K: [208],
  F16: [0],
  BF16: [0],
}

/** `byteLength` bytes of random blocks, with scales of ordinary size. */
export function randomBlocks(type: QuantizedType, byteLength: number): Uint8Array {
  const { bytes } = ggmlTypes[type]
  const blocks = Uint8Array.from(noise(byteLength, 8), x => Math.floor((x + 1) * 128))
  for (let block = 0; block < byteLength; block += bytes) {
    for (const at of scaleBytes[type]) {
      // Exponents of float16 and bfloat16 that give about 0.001 to 0.1, and 0.1 to 1.
      const high = type === 'BF16' ? 0x3d : type === 'F16' ? 0x34 : 0x14
      blocks[block + at + 1] = high + (blocks[block + at + 1]! & 3) + (blocks[block + at + 1]! & 0x80)
    }
  }
  return blocks
}
