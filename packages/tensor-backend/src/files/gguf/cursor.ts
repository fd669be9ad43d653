import { HeedError } from '../../errors.ts'
import type { GgufType, GgufValue } from './types.ts'

/** Thrown inside when the part of the header read so far ends; the reader fetches more and parses again. */
export class HeaderGoesOn extends Error {}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads values in order, never beyond the bytes at hand nor the end of the file. */
export class Cursor {
  at = 0
  private readonly view: DataView

  constructor(
    readonly bytes: Uint8Array,
    readonly fileBytes: number,
    readonly file: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  invalid(problem: string): HeedError {
    return new HeedError('HEED_FILE_INVALID', `${this.file}: ${problem}`)
  }

  /** Moves past `length` bytes and returns where they began. */
  skip(length: number, what: string): number {
    const start = this.at
    if (start + length > this.fileBytes) {
      throw this.invalid(
        `${what} needs ${length} bytes at ${start}, expected them within the file's ${this.fileBytes}. ` +
          'The file is truncated or damaged: copy or download it again.',
      )
    }
    if (start + length > this.bytes.length) throw new HeaderGoesOn()
    this.at += length
    return start
  }

  uint32(what: string): number {
    return this.view.getUint32(this.skip(4, what), true)
  }

  /** A size or count; one beyond 2^53 becomes a number that the next check refuses. */
  uint64(what: string): number {
    return Number(this.view.getBigUint64(this.skip(8, what), true))
  }

  /** A count of things that take at least `minBytes` each. */
  count(what: string, minBytes: number): number {
    const count = this.uint64(what)
    const most = Math.floor((this.fileBytes - this.at) / minBytes)
    if (count > most) throw this.invalid(`${what} is ${count}, expected at most ${most}, for which the file has bytes.`)
    return count
  }

  text(what: string, isFatal: boolean): string {
    const length = this.uint64(what)
    const start = this.skip(length, what)
    try {
      return (isFatal ? strictDecoder : decoder).decode(this.bytes.subarray(start, start + length))
    } catch (cause) {
      throw new HeedError('HEED_FILE_INVALID', `${this.file}: ${what} is not valid UTF-8. The file is damaged.`, {
        cause,
      })
    }
  }

  /** Text among values may be a byte sequence of a vocabulary; what is not UTF-8 in it becomes U+FFFD. */
  value(type: GgufType, what: string): GgufValue {
    switch (type) {
      case 'uint8':
        return this.view.getUint8(this.skip(1, what))
      case 'int8':
        return this.view.getInt8(this.skip(1, what))
      case 'uint16':
        return this.view.getUint16(this.skip(2, what), true)
      case 'int16':
        return this.view.getInt16(this.skip(2, what), true)
      case 'uint32':
        return this.uint32(what)
      case 'int32':
        return this.view.getInt32(this.skip(4, what), true)
      case 'float32':
        return this.view.getFloat32(this.skip(4, what), true)
      case 'float64':
        return this.view.getFloat64(this.skip(8, what), true)
      case 'uint64':
        return exact(this.view.getBigUint64(this.skip(8, what), true))
      case 'int64':
        return exact(this.view.getBigInt64(this.skip(8, what), true))
      case 'string':
        return this.text(what, false)
      case 'bool': {
        const byte = this.view.getUint8(this.skip(1, what))
        if (byte > 1) throw this.invalid(`${what} is ${byte}, expected a bool of 0 or 1.`)
        return byte === 1
      }
    }
  }
}

const exact = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value)
