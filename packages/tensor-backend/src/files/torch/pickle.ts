import { HeedError } from '../../errors.ts'
import { shown } from '../strict-json.ts'

/** What the machine may call: nothing of Python's, only functions of ours that build plain values. */
export interface PickleRules {
  /** The stand-in of a class or function, or undefined when the file must be refused for naming it. */
  global(module: string, name: string): PickleGlobal | undefined
  /** The object for a persistent id, which is how PyTorch refers to storages. */
  persistent(id: unknown): unknown
}

/** A class or function that a pickle names: `call` makes what Python would, from its arguments. */
export interface PickleGlobal {
  readonly name: string
  call?(args: readonly unknown[]): unknown
}

/** Thrown when the pickle needs bytes behind those given; a reader of a stream gives more and starts again. */
export class PickleEndsEarly extends HeedError {
  constructor(where: string) {
    super('HEED_FILE_INVALID', `${where}: the pickle ends early. The file is truncated or damaged.`)
  }
}

class PickleMachine {
  readonly stack: unknown[] = []
  private readonly marks: number[] = []
  private readonly memo = new Map<number, unknown>()
  private readonly view: DataView

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
    private readonly where: string,
    private readonly rules: PickleRules,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      const start = this.at
      const code = this.uint8()
      if (code === STOP) return { value: this.pop(), end: this.at }
      const operation = operations.get(code)
      if (!operation) {
        throw this.invalid(
          `operation 0x${code.toString(16).padStart(2, '0')} at byte ${start} is not one that PyTorch writes.`,
        )
      }
      operation(this)
    }
  }

  invalid(problem: string): HeedError {
    return new HeedError('HEED_FILE_INVALID', `${this.where}: ${problem}`)
  }

  take(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new PickleEndsEarly(this.where)
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  uint8(): number {
    return this.take(1)[0]!
  }

  /** Moves past `length` bytes and returns where they began. */
  private skip(length: number): number {
    this.take(length)
    return this.at - length
  }

  uint16(): number {
    return this.view.getUint16(this.skip(2), true)
  }

  uint32(): number {
    return this.view.getUint32(this.skip(4), true)
  }

  int32(): number {
    return this.view.getInt32(this.skip(4), true)
  }

  uint64(): number {
    return Number(this.view.getBigUint64(this.skip(8), true))
  }

  float64(): number {
    return this.view.getFloat64(this.skip(8), false)
  }

  text(length: number): string {
    return new TextDecoder().decode(this.take(length))
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end < 0) throw new PickleEndsEarly(this.where)
    const text = this.text(end - this.at)
    this.at++
    return text
  }

  /** Two's complement of any length, little-endian; a number while JavaScript holds it exactly. */
  long(length: number): number | bigint {
    const bytes = this.take(length)
    if (length > 1024) throw this.invalid(`an integer of ${length} bytes, expected at most 1024.`)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!)
    const signed = BigInt.asIntN(8 * length, value)
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed
  }

  push(value: unknown): void {
    this.stack.push(value)
  }

  pop(): unknown {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw this.invalid('the pickle takes from an empty stack.')
    return this.stack.pop()
  }

  top(): unknown {
    const value = this.pop()
    this.push(value)
    return value
  }

  mark(): void {
    this.marks.push(this.stack.length)
  }

  popToMark(): unknown[] {
    const mark = this.marks.pop()
    if (mark === undefined) throw this.invalid('the pickle goes back to a mark that was not set.')
    return this.stack.splice(mark)
  }

  popMany(count: number): unknown[] {
    const values: unknown[] = []
    for (let i = 0; i < count; i++) values.unshift(this.pop())
    return values
  }

  get(index: number): void {
    if (!this.memo.has(index)) throw this.invalid(`memo ${index} is read before it is set.`)
    this.push(this.memo.get(index))
  }

  put(index: number = this.memo.size): void {
    this.memo.set(index, this.top())
  }

  append(items: readonly unknown[]): void {
    const list = this.top()
    if (!Array.isArray(list)) throw this.invalid('the pickle appends to what is no list.')
    for (const item of items) list.push(item)
  }

  setItems(pairs: readonly unknown[]): void {
    const dict = this.top()
    if (!(dict instanceof Map) || pairs.length % 2 !== 0)
      throw this.invalid('the pickle sets items of what is no dict.')
    for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i], pairs[i + 1])
  }

  addItems(items: readonly unknown[]): void {
    const set = this.top()
    if (!(set instanceof Set)) throw this.invalid('the pickle adds to what is no set.')
    for (const item of items) set.add(item)
  }

  dict(pairs: readonly unknown[]): void {
    this.push(new Map())
    this.setItems(pairs)
  }

  global(module: unknown, name: unknown): void {
    const found = typeof module === 'string' && typeof name === 'string' ? this.rules.global(module, name) : undefined
    if (!found) {
      throw this.invalid(
        `the pickle names ${shown(`${module}.${name}`)}, which is not among the classes of a state dict; running it could do ` +
          'anything, so the file is refused. Save only tensors, or convert it to safetensors.',
      )
    }
    this.push(found)
  }

  /** Calls a stand-in of ours; nothing else on the stack can be called. */
  reduce(): void {
    const args = this.pop()
    const target = this.pop()
    const call = isGlobal(target) ? target.call : undefined
    if (!call || !Array.isArray(args)) throw this.invalid('the pickle calls what is no function.')
    this.push(call(args))
  }

  /** State for an object: stand-ins hold all they need already, so only its shape is checked. */
  build(): void {
    this.pop()
    this.top()
  }

  persistent(): void {
    this.push(this.rules.persistent(this.pop()))
  }
}

const globals = new WeakSet<object>()

/** Marks an object as one that `reduce` may call. */
export function pickleGlobal(name: string, call?: (args: readonly unknown[]) => unknown): PickleGlobal {
  const made: PickleGlobal = call ? { name, call } : { name }
  globals.add(made)
  return made
}

function isGlobal(value: unknown): value is PickleGlobal {
  return typeof value === 'object' && value !== null && globals.has(value)
}

const STOP = 0x2e

/** By the names and numbers of Python's pickletools, protocols 2 to 5. */
const operations: ReadonlyMap<number, (machine: PickleMachine) => void> = new Map([
  [0x80, m => void m.uint8()], // PROTO
  [0x95, m => void m.uint64()], // FRAME
  [0x28, m => m.mark()], // MARK
  [0x30, m => void m.pop()], // POP
  [0x31, m => void m.popToMark()], // POP_MARK
  [0x32, m => m.push(m.top())], // DUP
  [0x4e, m => m.push(null)], // NONE
  [0x88, m => m.push(true)], // NEWTRUE
  [0x89, m => m.push(false)], // NEWFALSE
  [0x4a, m => m.push(m.int32())], // BININT
  [0x4b, m => m.push(m.uint8())], // BININT1
  [0x4d, m => m.push(m.uint16())], // BININT2
  [0x8a, m => m.push(m.long(m.uint8()))], // LONG1
  [0x8b, m => m.push(m.long(m.uint32()))], // LONG4
  [0x47, m => m.push(m.float64())], // BINFLOAT
  [0x58, m => m.push(m.text(m.uint32()))], // BINUNICODE
  [0x8c, m => m.push(m.text(m.uint8()))], // SHORT_BINUNICODE
  [0x8d, m => m.push(m.text(m.uint64()))], // BINUNICODE8
  [0x54, m => m.push(m.text(m.uint32()))], // BINSTRING
  [0x55, m => m.push(m.text(m.uint8()))], // SHORT_BINSTRING
  [0x42, m => m.push(m.take(m.uint32()))], // BINBYTES
  [0x43, m => m.push(m.take(m.uint8()))], // SHORT_BINBYTES
  [0x8e, m => m.push(m.take(m.uint64()))], // BINBYTES8
  [0x29, m => m.push([])], // EMPTY_TUPLE
  [0x74, m => m.push(m.popToMark())], // TUPLE
  [0x85, m => m.push(m.popMany(1))], // TUPLE1
  [0x86, m => m.push(m.popMany(2))], // TUPLE2
  [0x87, m => m.push(m.popMany(3))], // TUPLE3
  [0x5d, m => m.push([])], // EMPTY_LIST
  [0x6c, m => m.push(m.popToMark())], // LIST
  [0x61, m => m.append(m.popMany(1))], // APPEND
  [0x65, m => m.append(m.popToMark())], // APPENDS
  [0x7d, m => m.dict([])], // EMPTY_DICT
  [0x64, m => m.dict(m.popToMark())], // DICT
  [0x73, m => m.setItems(m.popMany(2))], // SETITEM
  [0x75, m => m.setItems(m.popToMark())], // SETITEMS
  [0x8f, m => m.push(new Set())], // EMPTY_SET
  [0x90, m => m.addItems(m.popToMark())], // ADDITEMS
  [0x91, m => m.push(new Set(m.popToMark()))], // FROZENSET
  [0x68, m => m.get(m.uint8())], // BINGET
  [0x6a, m => m.get(m.uint32())], // LONG_BINGET
  [0x71, m => m.put(m.uint8())], // BINPUT
  [0x72, m => m.put(m.uint32())], // LONG_BINPUT
  [0x94, m => m.put()], // MEMOIZE
  [0x63, m => m.global(m.line(), m.line())], // GLOBAL
  [0x93, m => m.global(...(m.popMany(2) as [unknown, unknown]))], // STACK_GLOBAL
  [0x52, m => m.reduce()], // REDUCE
  [0x81, m => m.reduce()], // NEWOBJ: a class and its arguments
  [0x62, m => m.build()], // BUILD
  [0x51, m => m.persistent()], // BINPERSID
])

/**
 * Runs one pickle from `start` on a machine that executes no Python: the globals are ours, all else is refused.
 * dict -> Map, list and tuple -> array, set -> Set, None -> null, int -> number, or bigint beyond 2^53.
 * Throws HEED_FILE_INVALID.
 */
export function unpickle(
  bytes: Uint8Array,
  where: string,
  rules: PickleRules,
  start = 0,
): { value: unknown; end: number } {
  return new PickleMachine(bytes, start, where, rules).run()
}
