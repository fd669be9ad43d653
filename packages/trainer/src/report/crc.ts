/** A cyclic redundancy check of 32 bits, bits reflected, for a polynomial: `crc32` of PNG and gzip, `crc32c` of TensorFlow records. */
function checksum(polynomial: number): (bytes: Uint8Array) => number {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let c = byte
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? polynomial ^ (c >>> 1) : c >>> 1
    return c
  })
  return bytes => {
    let c = 0xffffffff
    for (const byte of bytes) c = table[(c ^ byte) & 255]! ^ (c >>> 8)
    return (c ^ 0xffffffff) >>> 0
  }
}

export const crc32: (bytes: Uint8Array) => number = checksum(0xedb88320)
export const crc32c: (bytes: Uint8Array) => number = checksum(0x82f63b78)
