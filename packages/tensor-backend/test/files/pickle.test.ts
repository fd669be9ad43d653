import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeedError } from '../../src/errors.ts'
import { unpickle } from '../../src/files/torch/pickle.ts'
import { namedTensors, TorchTensor, torchRules } from '../../src/files/torch/state.ts'

/** Operations as pickletools writes them: numbers are bytes, strings their Latin-1 bytes. */
const pickle = (...parts: (string | number)[]) =>
  new Uint8Array(
    Buffer.concat(parts.map(part => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part, 'latin1')))),
  )
const load = (...parts: (string | number)[]) => unpickle(pickle(...parts), 'x.pt', torchRules('x.pt')).value

const refusal = (name: string) =>
  `x.pt: the pickle names "${name}", which is not among the classes of a state dict; running it could do anything, ` +
  'so the file is refused. Save only tensors, or convert it to safetensors.'

/** (storage 'torch.FloatStorage', '0', 'cpu', 4) by persistent id, then offset 0, and what follows. */
const tensor = (offset: number, shape: string, strides: string) => [
  'ctorch._utils\n_rebuild_tensor_v2\n((',
  'X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ',
  'K',
  offset,
  shape,
  strides,
  '\x89NtR.',
]

test('a value of each kind is built', () => {
  expect(load('](K\x01M\x00\x01J\xff\xff\xff\xffG\x3f\xf8\x00\x00\x00\x00\x00\x00\x88\x89Ne.')).toEqual([
    1,
    256,
    -1,
    1.5,
    true,
    false,
    null,
  ])
  expect(
    load('(\x8a\x00\x8a\x01\xff\x8a\x02\xff\x7f\x8b\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01t.'),
  ).toEqual([0, -1, 32767, 2n ** 64n])
  expect(
    load('(U\x01aT\x01\x00\x00\x00b\x8c\x01c\x8d\x01\x00\x00\x00\x00\x00\x00\x00dC\x01eB\x01\x00\x00\x00ft.'),
  ).toEqual(['a', 'b', 'c', 'd', Uint8Array.of(0x65), Uint8Array.of(0x66)])
  expect(load('}(K\x01K\x02K\x03K\x04u.')).toEqual(new Map([[1, 2], [3, 4]])) // biome-ignore format: pairs
  expect(load('\x8f(K\x01K\x01K\x02\x90.')).toEqual(new Set([1, 2]))
  expect(load('K\x01\x94K\x02\x86q\x05h\x05h\x00\x86\x86.')).toEqual([[1, 2], [[1, 2], 1]]) // biome-ignore format: tuples
})

test.each([
  ['GLOBAL', 'cposix\nsystem\n(X\x02\x00\x00\x00lstR.', 'posix.system'],
  ['GLOBAL of a built-in', 'cbuiltins\neval\n.', 'builtins.eval'],
  ['STACK_GLOBAL', '\x8c\x02os\x8c\x06system\x93.', 'os.system'],
  ['STACK_GLOBAL with a dotted name', '\x8c\x05torch\x8c\x0dload.__call__\x93.', 'torch.load.__call__'],
  ['a function of torch that loads more', 'ctorch.storage\n_load_from_bytes\n.', 'torch.storage._load_from_bytes'],
  ['a name of every JavaScript object', 'c__proto__\nconstructor\n.', '__proto__.constructor'],
])('%s that names something else is refused', (_, bytes, name) => {
  expect(() => load(bytes)).toThrow(new HeedError('HEED_FILE_INVALID', refusal(name)))
})

test.each<[string, (string | number)[], string]>([
  ['an operation of INST', ['(ios\nsystem\n.'], 'operation 0x69 at byte 1 is not one that PyTorch writes.'],
  ['a take from an empty stack', ['.'], 'the pickle takes from an empty stack.'],
  ['a take from below the mark', ['K\x01(0.'], 'the pickle takes from an empty stack.'],
  ['a mark that is not there', ['t.'], 'the pickle goes back to a mark that was not set.'],
  ['an unset memo', ['h\x07.'], 'memo 7 is read before it is set.'],
  ['an append to a number', ['K\x01K\x02a.'], 'the pickle appends to what is no list.'],
  ['items of a list', ['](K\x01K\x02u.'], 'the pickle sets items of what is no dict.'],
  ['half a pair', ['}(K\x01u.'], 'the pickle sets items of what is no dict.'],
  ['an addition to a list', [']\x28K\x01\x90.'], 'the pickle adds to what is no set.'],
  ['a call of a number', ['K\x01)R.'], 'the pickle calls what is no function.'],
  ['a call of a dtype', ['ctorch\nfloat32\n)R.'], 'the pickle calls what is no function.'],
  [
    'an endless integer',
    ['\x8b\x00\x10\x00\x00', '\x01'.repeat(4096), '.'],
    'an integer of 4096 bytes, expected at most 1024.',
  ],
  ['a text beyond the end', ['X\xff\xff\xff\x7fabc.'], 'the pickle ends early. The file is truncated or damaged.'],
  ['no end', ['K\x01'], 'the pickle ends early. The file is truncated or damaged.'],
  ['a global without its newline', ['ctorch'], 'the pickle ends early. The file is truncated or damaged.'],
  ['a storage of no kind', ['K\x07Q.'], 'a persistent id is undefined, expected what torch.save writes.'],
  [
    'an OrderedDict with content',
    ['ccollections\nOrderedDict\n]\x85R.'],
    'the content of an OrderedDict is "in its constructor", expected what torch.save writes.',
  ],
  [
    'a tensor without a storage',
    ['ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))\x89NtR.'],
    'the storage of a tensor is "number", expected what torch.save writes.',
  ],
  [
    'a tensor larger than its storage',
    tensor(0, 'K\x05\x85', 'K\x01\x85'),
    'a tensor has shape [5], strides [1], offset 0, expected a window of its storage of 4 elements. The file is damaged.',
  ],
  [
    'a tensor behind its storage',
    tensor(4, ')', ')'),
    'a tensor has shape [], strides [], offset 4, expected a window of its storage of 4 elements. The file is damaged.',
  ],
  [
    'a negative stride',
    tensor(3, 'K\x02\x85', 'J\xff\xff\xff\xff\x85'),
    'a tensor has shape [2], strides [-1], offset 3, expected a window of its storage of 4 elements. The file is damaged.',
  ],
  [
    'fewer strides than axes',
    tensor(0, 'K\x02K\x02\x86', 'K\x02\x85'),
    'a tensor has shape [2,2], strides [2], offset 0, expected a window of its storage of 4 elements. The file is damaged.',
  ],
  [
    'four gigabytes of one repeated element',
    tensor(0, 'J\x00\x00\x00\x40\x85', 'K\x00\x85'),
    'a tensor has shape [1073741824], strides [0], offset 0, expected a window of its storage of 4 elements. The file is damaged.',
  ],
])('%s is refused', (_, parts, problem) => {
  expect(() => load(...parts)).toThrow(new HeedError('HEED_FILE_INVALID', `x.pt: ${problem}`))
})

test('a window inside its storage is a tensor', () => {
  expect(load(...tensor(1, 'K\x02\x85', 'K\x02\x85'))).toBeInstanceOf(TorchTensor)
})

test('lists shared so often that walking them never ends, or inside themselves, are refused', () => {
  const error = new HeedError(
    'HEED_FILE_INVALID',
    'x.pt: dicts and lists are nested too deep or too often. The file is damaged.',
  )
  const doubled = [...Array(40).keys()].map(i => `q${String.fromCharCode(i)}h${String.fromCharCode(i)}\x86`)
  expect(() => namedTensors(load(']', ...doubled, '.'), 'x.pt')).toThrow(error)
  expect(() => namedTensors(load(']q\x00h\x00a.'), 'x.pt')).toThrow(error)
})

test('two tensors of one name are refused', () => {
  const [one] = [load(...tensor(0, ')', ')'))]
  const root = new Map<string, unknown>([
    ['a.b', one],
    ['a', new Map([['b', one]])],
  ])
  expect(() => namedTensors(root, 'x.pt')).toThrow(
    new HeedError('HEED_FILE_INVALID', 'x.pt: two tensors have the name "a.b".'),
  )
})

test('random operations build a value or are refused', () => {
  const operation = fc.oneof(
    fc.constantFrom(...'(0124NtaeusldRQbc]})'.split(''), ...[0x85, 0x86, 0x87, 0x88, 0x8f, 0x90, 0x93, 0x94, 0x81]),
    fc.nat(255),
    fc.constantFrom(
      'K\x01',
      'h\x00',
      'q\x00',
      'ccollections\nOrderedDict\n',
      'ctorch\nFloatStorage\n',
      'ctorch\nSize\n',
    ),
  )
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), operations => {
      try {
        namedTensors(load(...operations, '.'), 'x.pt')
      } catch (error) {
        expect(error).toBeInstanceOf(HeedError)
        expect((error as HeedError).code).toBe('HEED_FILE_INVALID')
      }
    }),
    { numRuns: 3000 },
  )
})
