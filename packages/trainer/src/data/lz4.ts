/** Unpacks LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md) to `size` bytes. Throws an Error. */
export function unpackLz4(packed: Uint8Array, size: number): Uint8Array {
  const output = new Uint8Array(size)
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength)
  let [at, end] = [0, 0]
  while (at < packed.length) {
    if (view.getUint32(at, true) !== 0x184d2204) throw new Error('a frame of LZ4 does not begin with its magic number')
    const flags = packed[at + 4]!
    const [hasBlockChecksum, hasSize, hasChecksum, hasDictionary] = [16, 8, 4, 1].map(bit => (flags & bit) !== 0)
    at += 7 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0)
    for (;;) {
      const head = view.getUint32(at, true)
      at += 4
      if (head === 0) break
      const isStored = head >= 2 ** 31
      const length = isStored ? head - 2 ** 31 : head
      if (at + length > packed.length) throw new Error('a block of LZ4 is cut off')
      const block = packed.subarray(at, at + length)
      if (isStored) output.set(block, end)
      end = isStored ? end + length : unpackBlock(block, output, end)
      at += length + (hasBlockChecksum ? 4 : 0)
    }
    at += hasChecksum ? 4 : 0
  }
  if (end !== size) throw new Error(`LZ4 unpacks to ${end} bytes, expected ${size}`)
  return output
}

/** Unpacks a block to `output` from `start` on, where it may refer to what stands before. Returns where it ends. */
function unpackBlock(block: Uint8Array, output: Uint8Array, start: number): number {
  let [at, end] = [0, start]
  /** A length of four bits; 15 goes on in the bytes that follow. */
  const readLength = (nibble: number): number => {
    let length = nibble
    if (nibble === 15) {
      let byte: number
      do length += byte = block[at++] ?? 0
      while (byte === 255)
    }
    return length
  }
  while (at < block.length) {
    const token = block[at++]!
    const numLiterals = readLength(token >> 4)
    output.set(block.subarray(at, at + numLiterals), end)
    at += numLiterals
    end += numLiterals
    if (at >= block.length) break // the last sequence has no match
    const distance = block[at]! | (block[at + 1]! << 8)
    at += 2
    const length = readLength(token & 15) + 4
    if (distance === 0 || distance > end || end + length > output.length) {
      throw new Error(`LZ4 refers to ${length} bytes at ${end - distance}, expected them within what is unpacked`)
    }
    for (const stop = end + length; end < stop; end++) output[end] = output[end - distance]!
  }
  return end
}
