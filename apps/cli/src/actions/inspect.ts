import { join } from 'node:path'
import {
  dtypeBits,
  type GgufValue,
  HeedError,
  ifFound,
  openCheckpoint,
  openGguf,
  parseStrictJson,
  readText,
} from '@heed/tensor-backend'
import type { Llama2cFile } from 'heed'
import { tensorFiles } from '../commands/inspect.ts'
import { isFile } from '../path-kind.ts'
import { formatBytes, formatCount, formatTable } from '../terminal/format.ts'
import { bold } from '../terminal/style.ts'

interface Report {
  path: string
  config: Record<string, unknown> | undefined
  numParameters: number
  numBytes: number
  tensors: Array<{ name: string; dtype: string; shape: readonly number[] }>
}

/** What a report is made from; closed by the caller. */
interface Opened {
  config: Report['config']
  tensors: Report['tensors']
  numBytes: number
  close(): Promise<void>
}

/** A GGUF or llama2.c file, or the weights of a folder or file, else of an adapter's folder, with the configuration if there is one. Throws as `openCheckpoint`. */
async function open(path: string): Promise<Opened> {
  if (/\.gguf$/i.test(path)) return openGgufFile(path)
  if (/\.bin$/i.test(path) && (await isFile(path))) {
    const { inspectLlama2c } = await import('heed') // PyTorch's files and folders need no architectures
    const file = await inspectLlama2c(path)
    if (file) return ofLlama2c(file)
  }
  if ((await isFile(path)) && !/\.(safetensors|bin|pt|pth)$/.test(path)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `heed inspect: ${path} is a file of another kind, expected a folder, or a ${tensorFiles} file.`,
    )
  }
  const adapter = join(path, 'adapter_model.safetensors')
  const own = (await isFile(adapter)) ? await ifFound(() => openCheckpoint(path)) : await openCheckpoint(path)
  const file = own ?? (await openCheckpoint(adapter))
  const tensors = [...file.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))
  return {
    config: await readConfig(join(path, own ? 'config.json' : 'adapter_config.json')),
    tensors,
    numBytes: tensors.reduce((sum, { dtype, shape }) => sum + (elements(shape) * dtypeBits[dtype]) / 8, 0),
    close: () => file.close(),
  }
}

/** The header is the configuration. */
function ofLlama2c({ header, tensors }: Llama2cFile): Opened {
  return {
    config: header,
    tensors: [...tensors].map(([name, { type, shape }]) => ({ name, dtype: type, shape })),
    numBytes: [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    close: async () => {},
  }
}

/** The metadata but for the tokenizer, which no config.json has either, is the configuration. */
async function openGgufFile(path: string): Promise<Opened> {
  const file = await openGguf(path)
  const plain = (value: GgufValue): GgufValue => (typeof value === 'bigint' ? Number(value) : value)
  const config = [...file.metadata]
    .filter(([key]) => !key.startsWith('tokenizer.'))
    .map(([key, { value }]) => [key, typeof value === 'object' ? value.map(plain) : plain(value)] as const)
  return {
    config: Object.fromEntries(config),
    tensors: [...file.tensors].map(([name, { type, shape }]) => ({ name, dtype: type, shape })),
    numBytes: [...file.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    close: () => file.close(),
  }
}

const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

/** Undefined when there is no such file. Throws HEED_FILE_INVALID. */
async function readConfig(path: string): Promise<Report['config']> {
  return (await isFile(path)) ? (parseStrictJson(await readText(path), path) as Report['config']) : undefined
}

/** Prints what a model folder or a tensor file holds, read from headers only. Throws as `openCheckpoint` and `openGguf`. */
export async function inspect(path: string, json: boolean | undefined): Promise<void> {
  const { config, tensors, numBytes, close } = await open(path)
  await close()
  const numParameters = tensors.reduce((sum, { shape }) => sum + elements(shape), 0)
  const report = { path, config, numParameters, numBytes, tensors }
  if (json) console.log(JSON.stringify(report))
  else print(report)
}

function print({ path, config, numParameters, numBytes, tensors }: Report): void {
  console.log(bold(path))
  if (config) {
    const plain = Object.entries(config).filter(([, value]) => value !== null && typeof value !== 'object')
    const lists = Object.entries(config).filter(([, value]) => Array.isArray(value))
    console.log(formatTable([...lists, ...plain].map(([key, value]) => [`  ${key}`, String(value)])))
  }
  console.log(`\n${formatCount(numParameters)} parameters, ${formatBytes(numBytes)} in ${tensors.length} tensors\n`)
  console.log(formatTable(tensors.map(({ name, dtype, shape }) => [`  ${name}`, dtype, `[${shape.join(', ')}]`])))
}
