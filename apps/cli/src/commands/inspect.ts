import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { dtypeBits, ifFound, openCheckpoint, parseStrictJson, readText, type TensorFile } from '@heed/tensor-backend'
import { Command } from 'commander'
import { action } from '../failure.ts'
import { formatBytes, formatCount, formatTable } from '../terminal/format.ts'
import { bold } from '../terminal/style.ts'

interface Report {
  path: string
  config: Record<string, unknown> | undefined
  numParameters: number
  numBytes: number
  tensors: Array<{ name: string; dtype: string; shape: readonly number[] }>
}

/** The weights of a folder or file, else of an adapter's folder, with its configuration if there is one. Throws as `openCheckpoint`. */
async function open(path: string): Promise<{ file: TensorFile; config: Report['config'] }> {
  const adapter = join(path, 'adapter_model.safetensors')
  const own = (await isFile(adapter)) ? await ifFound(() => openCheckpoint(path)) : await openCheckpoint(path)
  const file = own ?? (await openCheckpoint(adapter))
  return { file, config: await readConfig(join(path, own ? 'config.json' : 'adapter_config.json')) }
}

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isFile(),
    () => false,
  )
}

/** Undefined when there is no such file. Throws HEED_FILE_INVALID. */
async function readConfig(path: string): Promise<Report['config']> {
  return (await isFile(path)) ? (parseStrictJson(await readText(path), path) as Report['config']) : undefined
}

function summarise(path: string, file: TensorFile, config: Report['config']): Report {
  const tensors = [...file.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))
  let numParameters = 0
  let numBytes = 0
  for (const { dtype, shape } of tensors) {
    const count = shape.reduce((product, size) => product * size, 1)
    numParameters += count
    numBytes += (count * dtypeBits[dtype]) / 8
  }
  return { path, config, numParameters, numBytes, tensors }
}

/** `heed inspect`: what a model folder or a tensor file holds, read from headers only. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what a model folder or a tensor file holds, without loading it.')
    .argument('<path>', 'a HuggingFace folder of a model or an adapter, or a .safetensors, .bin, .pt or .pth file')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed inspect heed-quickstart/model')
    .action(
      action(async (path: string, { json }: { json?: boolean }) => {
        const { file, config } = await open(path)
        try {
          const report = summarise(path, file, config)
          if (json) console.log(JSON.stringify(report))
          else print(report)
        } finally {
          await file.close()
        }
      }),
    )
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
