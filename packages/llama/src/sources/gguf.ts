/**
 * GGUF, the format of llama.cpp: one file with numbers, tokens and tensors, matrices often in few bits.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; names and layouts as llama.cpp's `convert_hf_to_gguf.py` writes them.
 */
import {
  type ByteSourceLike,
  type CheckpointLocation,
  dequantizeGgml,
  type GgmlType,
  type GgufFile,
  ggmlTypes,
  HeedError,
  isQuantizedType,
  openGguf,
  type QuantizedType,
  QuantizedWeight,
  type RawTensor,
  type TensorInfo,
  tf,
} from '@heed/tensor-backend'
import type { Checkpoint, CheckpointFormat, CheckpointTensors } from '@heed/transformer'
import { relatives } from '../relatives-by-type.ts'
import { configOfGguf, GgufNumbers } from './gguf-config.ts'
import { hfName } from './gguf-names.ts'
import { halvesFromPairs, inHalves } from './rotary-rows.ts'

/** Where a tensor of HF lies: a tensor of the file, or one expert's part of it. */
interface Place {
  readonly name: string
  readonly shape: readonly number[]
  readonly expert?: number
  /** Heads whose rows lie in pairs. */
  readonly pairedHeads?: number
  /** What HF's model adds by itself. */
  readonly minus?: number
}

/** Tensors that are numbers of the configuration. */
const ropeTensors = {
  all: 'rope_freqs.weight',
  long: 'rope_factors_long.weight',
  short: 'rope_factors_short.weight',
}

const ggufName = /\.gguf(?:[?#].*)?$/i

/** The GGUF file at a place: the place itself, or one among files that were given by name. */
function ggufAt(location: CheckpointLocation): { name: string; file: ByteSourceLike } | undefined {
  if (location instanceof Map) {
    for (const [name, file] of location) if (ggufName.test(name)) return { name, file }
    return undefined
  }
  const name = String(location)
  return ggufName.test(name) ? { name, file: name } : undefined
}

/** GGUF files of the family, for `registerCheckpointFormat`. */
export const ggufFormat: CheckpointFormat = {
  name: 'gguf',
  async open(location) {
    const found = ggufAt(location)
    return found && openGgufCheckpoint(found.name, found.file)
  },
}

/** A GGUF file as a checkpoint of HF. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID, HEED_IO. */
export async function openGgufCheckpoint(path: string, source: ByteSourceLike = path): Promise<Checkpoint> {
  const file = await openGguf(source)
  try {
    const numbers = new GgufNumbers(file)
    checkVocabulary(file)
    const divisors: { all?: number[]; long?: number[]; short?: number[] } = {}
    for (const [kind, name] of Object.entries(ropeTensors) as [keyof typeof divisors, string][]) {
      if (file.tensors.has(name)) divisors[kind] = [...(await file.dequantize(name))]
    }
    const config = configOfGguf(numbers, divisors)
    const { prefix } = relatives[config.model_type as string]!
    return {
      config: { ...config, architectures: [`${prefix}ForCausalLM`] },
      source: path,
      openTensors: async () => openTensors(await openGguf(source, { header: file }), numbers),
    }
  } finally {
    await file.close()
  }
}

function checkVocabulary({ name, metadata, tensors }: GgufFile): void {
  const tokens = metadata.get('tokenizer.ggml.tokens')?.value
  const rows = tensors.get('token_embd.weight')?.shape[0]
  if (!Array.isArray(tokens) || rows === undefined || tokens.length <= rows) return
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${name}: tokenizer.ggml.tokens has ${tokens.length} tokens, expected at most the ${rows} rows of token_embd.weight. ` +
      'The vocabulary is of another model.',
  )
}

/** Every tensor of the file under HF's name. */
function places({ tensors, name: path }: GgufFile, numbers: GgufNumbers): Map<string, Place> {
  const { layout } = numbers
  const heads = numbers.numberOfAllLayers('attention.head_count')
  const keyHeads = numbers.numberOfAllLayers('attention.head_count_kv', heads)
  const found = new Map<string, Place>()
  for (const [name, { shape }] of tensors) {
    if (Object.values(ropeTensors).includes(name)) continue
    const key = hfName(name, layout)
    if (key === undefined) {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${path}: tensor ${JSON.stringify(name)} is not one that ${numbers.architecture} is known to have.`,
      )
    }
    const paired = /\.attn_q\./.test(name) ? heads : /\.attn_k\./.test(name) ? keyHeads : undefined
    const rest = {
      name,
      ...(layout.isPaired && paired !== undefined && { pairedHeads: paired }),
      ...(layout.countsNormsFromOne && /norm\.weight$/.test(name) && { minus: 1 }),
    }
    if (key.includes('.*.')) {
      const [count, ...of] = shape
      for (let expert = 0; expert < count!; expert++)
        found.set(key.replace('*', String(expert)), { ...rest, shape: of, expert })
    } else {
      const isRow = key.endsWith('shared_expert_gate.weight')
      found.set(key, { ...rest, shape: isRow ? [1, ...shape.slice(-1)] : shape })
    }
  }
  return found
}

function openTensors(file: GgufFile, numbers: GgufNumbers): CheckpointTensors {
  const placeOf = places(file, numbers)
  const typeOf = ({ name }: Place): GgmlType => file.tensors.get(name)!.type
  const infoOf = (place: Place): TensorInfo => {
    const type = typeOf(place)
    return { dtype: type === 'F16' || type === 'BF16' ? type : 'F32', shape: place.shape }
  }

  /** Whether it is a tensor of the file as it is, but for the order of its rows. */
  const isWhole = ({ name, shape, expert, minus }: Place): boolean =>
    (expert ?? minus) === undefined && shape.length === file.tensors.get(name)!.shape.length

  // Experts share a tensor and are asked for one after the other.
  let last: { name: string; bytes: Uint8Array } | undefined

  async function readBytes(place: Place): Promise<Uint8Array> {
    if (last?.name !== place.name) last = { name: place.name, bytes: await file.readRaw(place.name) }
    let { bytes } = last
    if (place.expert === undefined) last = undefined
    if (place.expert !== undefined) {
      const size = bytesOf(typeOf(place), place.shape)
      bytes = bytes.subarray(place.expert * size, (place.expert + 1) * size)
    }
    return place.pairedHeads === undefined ? bytes : halvesFromPairs(bytes, place.shape[0]!, place.pairedHeads)
  }

  // Where pieces of paired rows are read before they are put in order.
  let spare = new Uint8Array(0)

  async function readMatrix(
    { name, shape, expert = 0, pairedHeads }: Place,
    type: QuantizedType,
    isTable: boolean | undefined,
  ): Promise<QuantizedWeight> {
    const [rows, cols] = shape as [number, number]
    const start = expert * bytesOf(type, shape)
    const headDim = pairedHeads && rows / pairedHeads
    const place = file.placeOf(name)
    const there = place && { ...place, offset: place.offset + start }
    const inFile = there && QuantizedWeight.inFile(type, [rows, cols], there, { pairedHeadDim: headDim, isTable })
    if (inFile) return inFile
    return QuantizedWeight.fromPieces(
      type,
      [rows, cols],
      async (offset, length, room) => {
        if (!headDim) return file.readRaw(name, { offset: start + offset, length, room })
        if (spare.length < length) spare = new Uint8Array(length)
        const bytes = await file.readRaw(name, { offset: start + offset, length, room: spare })
        const pieceRows = length / bytesOf(type, [cols])
        return halvesFromPairs(bytes, pieceRows, pieceRows / headDim, room)
      },
      { pairedHeadDim: headDim },
    )
  }

  const at = (key: string): Place => {
    const place = placeOf.get(key)
    if (place) return place
    throw new HeedError('HEED_ARGUMENT_INVALID', `${file.name}: there is no tensor ${JSON.stringify(key)}.`)
  }

  return {
    name: file.name,
    tensors: new Map(Array.from(placeOf, ([key, place]) => [key, infoOf(place)])),
    async readRaw(key): Promise<RawTensor> {
      const place = at(key)
      return { ...infoOf(place), bytes: await readBytes(place) }
    },
    async read(key) {
      const place = at(key)
      if (isWhole(place)) {
        const tensor = await file.read(place.name)
        return place.pairedHeads === undefined ? tensor : inHalves(tensor, place.pairedHeads)
      }
      const values = dequantizeGgml(await readBytes(place), typeOf(place), `${file.name}: tensor "${place.name}"`)
      const { minus } = place
      return tf.tensor(minus === undefined ? values : values.map(value => value - minus), [...place.shape], 'float32')
    },
    async readQuantized(key, { isTable } = {}) {
      const place = at(key)
      const type = typeOf(place)
      if (place.shape.length !== 2 || !isQuantizedType(type)) return undefined
      return readMatrix(place, type, isTable)
    },
    close: () => file.close(),
  }
}

function bytesOf(type: GgmlType, shape: readonly number[]): number {
  const { elements, bytes } = ggmlTypes[type]
  return (shape.reduce((product, size) => product * size, 1) / elements) * bytes
}
