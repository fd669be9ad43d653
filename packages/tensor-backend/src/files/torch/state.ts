import { HeedError } from '../../errors.ts'
import { dtypeBits, type FileDtype } from '../dtypes.ts'
import { shown } from '../strict-json.ts'
import { elementCount } from '../tensor-file.ts'
import { type PickleGlobal, type PickleRules, pickleGlobal } from './pickle.ts'

/** Memory that one or more tensors look into; an untyped one has no dtype and counts its elements in bytes. */
export class TorchStorage {
  constructor(
    readonly key: string,
    readonly dtype: FileDtype | undefined,
    readonly elements: number,
  ) {}

  get byteLength(): number {
    return (this.elements * dtypeBits[this.dtype ?? 'U8']) / 8
  }
}

/** A tensor as PyTorch saves it: a window of a storage, in elements of `dtype`. */
export class TorchTensor {
  constructor(
    readonly storage: TorchStorage,
    readonly dtype: FileDtype,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

const torchDtypes: Readonly<Record<string, FileDtype>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  uint16: 'U16',
  uint32: 'U32',
  uint64: 'U64',
  bool: 'BOOL',
  complex64: 'C64',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
}

const storageDtypes: Readonly<Record<string, FileDtype>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  ComplexFloatStorage: 'C64',
}

/** A tensor that repeats one element along an axis (stride 0) may be this large; real ones are small buffers (CWE-789). */
const MAX_EXPANDED_ELEMENTS = 2 ** 24

/** PyTorch makes no tensors of more axes. */
const MAX_AXES = 64

function checkWindow(where: string, tensor: TorchTensor): TorchTensor {
  const { storage, dtype, offset, shape, strides } = tensor
  const elements = Math.floor((8 * storage.byteLength) / dtypeBits[dtype])
  const count = shape.length <= MAX_AXES ? elementCount(shape) : undefined
  if (count !== undefined && shape.length === strides.length && [offset, ...strides].every(isIndex)) {
    const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset)
    if ((count === 0 || last < elements) && count <= Math.max(elements, MAX_EXPANDED_ELEMENTS)) return tensor
  }
  throw new HeedError(
    'HEED_FILE_INVALID',
    `${where}: a tensor has shape ${shown(shape)}, strides ${shown(strides)}, offset ${shown(offset)}, expected a window ` +
      `of its storage of ${elements} elements. The file is damaged.`,
  )
}

const isIndex = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

/**
 * The classes and functions a state dict may name, as `torch.load(weights_only=True)` allows them, each replaced by a
 * function that only builds the value, in time and memory that its own bytes in the pickle pay for.
 */
export function torchRules(where: string): PickleRules {
  const invalid = (what: string, value: unknown) =>
    new HeedError('HEED_FILE_INVALID', `${where}: ${what} is ${shown(value)}, expected what torch.save writes.`)
  const dtypeOf = new Map<unknown, FileDtype | undefined>()
  const named = new Map<string, PickleGlobal>()
  const define = (name: string, call?: PickleGlobal['call']): PickleGlobal => {
    const global = pickleGlobal(name, call)
    named.set(name, global)
    return global
  }
  const rebuild = ([storage, offset, shape, strides]: readonly unknown[], dtype?: FileDtype): TorchTensor => {
    const known = dtype ?? (storage instanceof TorchStorage ? storage.dtype : undefined)
    if (!(storage instanceof TorchStorage) || !known) throw invalid('the storage of a tensor', typeof storage)
    if (!Array.isArray(shape) || !Array.isArray(strides)) throw invalid('the shape of a tensor', typeof shape)
    return checkWindow(where, new TorchTensor(storage, known, offset as number, shape, strides))
  }

  define('collections.OrderedDict', args => {
    if (args.length > 0) throw invalid('the content of an OrderedDict', 'in its constructor')
    return new Map()
  })
  define('torch._utils._rebuild_tensor', args => rebuild(args))
  define('torch._utils._rebuild_tensor_v2', args => rebuild(args))
  define('torch._utils._rebuild_tensor_v3', args => rebuild(args, dtypeOf.get(args[6])))
  define('torch._utils._rebuild_parameter', ([data]) => data)
  define('torch._utils._rebuild_parameter_with_state', ([data]) => data)
  define('torch.Size', ([sizes]) => sizes)
  define('torch.device', ([type]) => type)
  dtypeOf.set(define('torch.storage.UntypedStorage'), undefined)
  for (const [name, dtype] of Object.entries({ ...torchDtypes, ...storageDtypes }))
    dtypeOf.set(define(`torch.${name}`), dtype)

  const storages = new Map<string, TorchStorage>()
  return {
    global: (module, name) => named.get(`${module}.${name}`),
    persistent(id) {
      // Before PyTorch 1.6 a sixth item could make the storage a view of another; no release since writes one.
      const [kind, type, key, , elements, viewOf = null] = Array.isArray(id) ? id : []
      if (kind !== 'storage' || !dtypeOf.has(type)) throw invalid('a persistent id', kind)
      if (typeof key !== 'string' || !isIndex(elements) || viewOf !== null) throw invalid('a storage', key)
      const storage = storages.get(key) ?? new TorchStorage(key, dtypeOf.get(type), elements)
      if (storage.dtype !== dtypeOf.get(type) || storage.elements !== elements)
        throw invalid('a second use of storage', key)
      storages.set(key, storage)
      return storage
    },
  }
}

/** A list of lists may be shared, so walking it could take exponential time; real checkpoints stay far below. */
const MAX_WALKED_VALUES = 2 ** 22

/** Tensors anywhere in nested dicts and lists, by keys joined with dots. Throws HEED_FILE_INVALID. */
export function namedTensors(root: unknown, where: string): ReadonlyMap<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>()
  let walked = 0
  const walk = (value: unknown, path: readonly unknown[]): void => {
    if (++walked > MAX_WALKED_VALUES || path.length > MAX_AXES) {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${where}: dicts and lists are nested too deep or too often. The file is damaged.`,
      )
    }
    if (value instanceof TorchTensor) {
      const name = path.join('.')
      if (tensors.has(name))
        throw new HeedError('HEED_FILE_INVALID', `${where}: two tensors have the name ${shown(name)}.`)
      tensors.set(name, value)
    } else if (value instanceof Map || Array.isArray(value)) {
      for (const [key, item] of value.entries())
        if (typeof item === 'object' && item !== null) walk(item, [...path, key])
    }
  }
  walk(root, [])
  return tensors
}
