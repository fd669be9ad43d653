import { availableParallelism, cpus, totalmem } from 'node:os'
import { type BackendName, init, isHeedError } from '@heed/tensor-backend'
import { Command } from 'commander'
import { action } from '../failure.ts'
import { formatBytes, formatTable } from '../terminal/format.ts'
import { bold, green, red } from '../terminal/style.ts'

interface BackendFinding {
  backend: BackendName
  isAvailable: boolean
  /** Instruction set and threads, or why it cannot run here. */
  detail: string
}

const backends: BackendName[] = ['native', 'wasm', 'webgpu', 'cpu']

async function examine(backend: BackendName): Promise<BackendFinding> {
  try {
    const { instructionSet, threads } = await init({ backend })
    return { backend, isAvailable: true, detail: `${instructionSet}, ${threads} thread${threads === 1 ? '' : 's'}` }
  } catch (error) {
    if (!isHeedError(error)) throw error
    return { backend, isAvailable: false, detail: error.message }
  }
}

/** `heed doctor`: what was found on this machine, and why a backend was not chosen. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Show what was found on this machine, which backend is chosen, and why others are not.')
    .option('--json', 'print one JSON object')
    .action(
      action(async ({ json }: { json?: boolean }) => {
        const wanted = process.env.HEED_BACKEND
        delete process.env.HEED_BACKEND // each backend is tried, also those the variable hides
        const findings: BackendFinding[] = []
        for (const backend of backends) findings.push(await examine(backend))
        if (wanted) process.env.HEED_BACKEND = wanted
        const { backend: chosen } = await init()
        const machine = {
          node: process.versions.node,
          platform: `${process.platform}-${process.arch}`,
          processor: cpus()[0]?.model ?? 'unknown',
          cores: availableParallelism(),
          memoryBytes: totalmem(),
        }
        if (json) {
          console.log(JSON.stringify({ machine, chosen, backends: findings }))
          return
        }
        console.log(
          formatTable([
            ['Node', machine.node],
            ['Platform', machine.platform],
            ['Processor', `${machine.processor}, ${machine.cores} cores`],
            ['Memory', formatBytes(machine.memoryBytes)],
            ['HEED_BACKEND', process.env.HEED_BACKEND ?? 'not set'],
            ['HEED_THREADS', process.env.HEED_THREADS ?? 'not set'],
          ]),
        )
        console.log(`\n${bold('Backends')}`)
        for (const { backend, isAvailable, detail } of findings) {
          const mark = isAvailable ? green('yes') : red('no ')
          console.log(`  ${mark}  ${backend.padEnd(7)} ${detail}${backend === chosen ? bold('  <- chosen') : ''}`)
        }
      }),
    )
}
