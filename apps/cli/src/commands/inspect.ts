import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { dtypeBits, openCheckpoint, parseStrictJson, readText, type TensorFile } from '@heed/tensor-backend'
import { Command } from 'commander'
import { action } from '../failure.ts'
import { formatBytes, formatCount, formatTable } from '../terminal/format.ts'
import { bold } from '../terminal/style.ts'

interface Report {
  path: string
  config?: Record<string, unknown>
  numParameters: number
  numBytes: number
  tensors: Array<{ name: string; dtype: string; shape: readonly number[] }>
}

/** The `config.json` of a folder; undefined when the path is a file or the folder has none. Throws HEED_FILE_INVALID. */
async function readConfig(path: string): Promise<Record<string, unknown> | undefined> {
  const configPath = join(path, 'config.json')
  const hasConfig = await stat(configPath).then(
    found => found.isFile(),
    () => false,
  )
  if (!hasConfig) return undefined
  return parseStrictJson(await readText(configPath), configPath) as Record<string, unknown>
}

function summarise(path: string, file: TensorFile, config: Record<string, unknown> | undefined): Report {
  const tensors = [...file.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))
  let numParameters = 0
  let numBytes = 0
  for (const { dtype, shape } of tensors) {
    const count = shape.reduce((product, size) => product * size, 1)
    numParameters += count
    numBytes += (count * dtypeBits[dtype]) / 8
  }
  return { path, ...(config && { config }), numParameters, numBytes, tensors }
}

/** `heed inspect`: what a model folder or a tensor file holds, read from headers only. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what a model folder or a tensor file holds, without loading it.')
    .argument('<path>', 'a HuggingFace folder, or a .safetensors, .bin, .pt or .pth file')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed inspect heed-quickstart/model')
    .action(
      action(async (path: string, { json }: { json?: boolean }) => {
        const file = await openCheckpoint(path)
        try {
          const report = summarise(path, file, await readConfig(path))
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
