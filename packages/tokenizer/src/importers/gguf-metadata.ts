import { HeedError } from '../errors.ts'

export type GgufValue = number | bigint | boolean | string | readonly GgufValue[]

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
/** Arrays in arrays: no file has more than one level, and a hostile one must not overflow the stack. */
const MAX_DEPTH = 4

/** The key-value pairs at the head of a GGUF file of version 2 or 3; tensors behind them may be cut off. Throws HEED_FILE_INVALID. */
export function readGgufMetadata(bytes: Uint8Array, where = 'GGUF file'): Record<string, GgufValue> {
  const reader = new Reader(bytes, where)
  const magic = reader.uint32()
  if (magic !== 0x46554747) throw reader.invalid(`begins with 0x${magic.toString(16)}`, '"GGUF"')
  const version = reader.uint32()
  if (version !== 2 && version !== 3) throw reader.invalid(`is of version ${version}`, 'version 2 or 3')
  reader.length() // tensors
  const pairs: [string, GgufValue][] = []
  for (let count = reader.length(); count > 0; count--) pairs.push([reader.string(), reader.value(reader.uint32(), 0)])
  return Object.fromEntries(pairs)
}

class Reader {
  private position = 0
  private readonly view: DataView

  constructor(
    private readonly bytes: Uint8Array,
    private readonly where: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  invalid(what: string, expected: string): HeedError {
    return new HeedError('HEED_FILE_INVALID', `${this.where}: it ${what}, expected ${expected}. Fetch the file again.`)
  }

  uint32(): number {
    return this.view.getUint32(this.take(4), true)
  }

  /** A count of things that need at least a byte each, so that a lie in the file cannot ask for more memory than the file. */
  length(): number {
    const at = this.take(8)
    const length = this.view.getBigUint64(at, true)
    if (length <= BigInt(this.bytes.length)) return Number(length)
    throw this.invalid(`claims a length of ${length} at byte ${at}`, `at most its ${this.bytes.length} bytes`)
  }

  string(): string {
    const length = this.length()
    const start = this.take(length)
    return utf8.decode(this.bytes.subarray(start, start + length))
  }

  value(type: number, depth: number): GgufValue {
    const { view } = this
    switch (type) {
      case 0:
        return view.getUint8(this.take(1))
      case 1:
        return view.getInt8(this.take(1))
      case 2:
        return view.getUint16(this.take(2), true)
      case 3:
        return view.getInt16(this.take(2), true)
      case 4:
        return this.uint32()
      case 5:
        return view.getInt32(this.take(4), true)
      case 6:
        return view.getFloat32(this.take(4), true)
      case 7:
        return view.getUint8(this.take(1)) !== 0
      case 8:
        return this.string()
      case 9:
        return this.array(depth)
      case 10:
        return view.getBigUint64(this.take(8), true)
      case 11:
        return view.getBigInt64(this.take(8), true)
      case 12:
        return view.getFloat64(this.take(8), true)
      default:
        throw this.invalid(`has a value of type ${type} at byte ${this.position - 4}`, 'a type from 0 to 12')
    }
  }

  private array(depth: number): readonly GgufValue[] {
    const type = this.uint32()
    const length = this.length()
    if (depth === MAX_DEPTH)
      throw this.invalid(`has arrays in arrays at byte ${this.position}`, `at most ${MAX_DEPTH} levels`)
    const values: GgufValue[] = []
    for (let i = 0; i < length; i++) values.push(this.value(type, depth + 1))
    return values
  }

  private take(size: number): number {
    const start = this.position
    if (size > this.bytes.length - start) {
      throw this.invalid(`ends at byte ${this.bytes.length}`, `${size} bytes more from byte ${start} on`)
    }
    this.position += size
    return start
  }
}
