import type { ByteSource } from '../byte-source.ts'
import { dtypeBits } from '../dtypes.ts'
import type { TorchTensor } from './state.ts'

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false
    expected *= shape[axis]!
  }
  return true
}

/** Copies a strided window into row-major order, the last axis in the inner loop. */
function gather<T extends Uint8Array | Uint16Array | Uint32Array>(
  from: T,
  to: T,
  shape: readonly number[],
  strides: readonly number[],
): void {
  const inner = shape.length - 1
  const index = new Array<number>(shape.length).fill(0)
  let row = 0
  for (let out = 0; out < to.length; ) {
    for (let i = 0; i < shape[inner]!; i++) to[out++] = from[row + i * strides[inner]!]!
    for (let axis = inner - 1; axis >= 0; axis--) {
      row += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      row -= shape[axis]! * strides[axis]!
      index[axis] = 0
    }
  }
}

/** The bytes of a tensor in row-major order, its storage beginning at `storageOffset` of the source. */
export async function readWindow(source: ByteSource, storageOffset: number, tensor: TorchTensor): Promise<Uint8Array> {
  const { dtype, offset, shape, strides } = tensor
  const itemBytes = dtypeBits[dtype] / 8
  const count = shape.reduce((product, size) => product * size, 1)
  if (count === 0) return new Uint8Array(0)
  const span = 1 + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0)
  const bytes = await source.read(storageOffset + offset * itemBytes, span * itemBytes)
  if (isContiguous(shape, strides)) return bytes
  const out = new Uint8Array(count * itemBytes)
  if (itemBytes === 8) {
    gather(
      new Uint32Array(bytes.buffer),
      new Uint32Array(out.buffer),
      [...shape, 2],
      [...strides.map(stride => 2 * stride), 1],
    )
  } else if (itemBytes === 4) gather(new Uint32Array(bytes.buffer), new Uint32Array(out.buffer), shape, strides)
  else if (itemBytes === 2) gather(new Uint16Array(bytes.buffer), new Uint16Array(out.buffer), shape, strides)
  else gather(bytes, out, shape, strides)
  return out
}
