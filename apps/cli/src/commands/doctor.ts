import { availableParallelism, cpus, totalmem } from 'node:os'
import { type BackendFinding, examineBackends, init } from '@heed/tensor-backend'
import { Command } from 'commander'
import { action } from '../failure.ts'
import { formatBytes, formatTable } from '../terminal/format.ts'
import { bold, green, red } from '../terminal/style.ts'

/** `heed doctor`: what was found on this machine, and why a backend was not chosen. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Show what was found on this machine, which backend is chosen, and why others are not.')
    .option('--json', 'print one JSON object')
    .action(
      action(async ({ json }: { json?: boolean }) => {
        const findings = await examineBackends()
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
        for (const finding of findings) {
          const mark = finding.isAvailable ? green('yes') : red('no ')
          const { backend } = finding
          console.log(
            `  ${mark}  ${backend.padEnd(7)} ${detail(finding)}${backend === chosen ? bold('  <- chosen') : ''}`,
          )
        }
      }),
    )
}

function detail(finding: BackendFinding): string {
  if (!finding.isAvailable) return finding.reason
  const { instructionSet, threads } = finding
  return `${instructionSet}, ${threads} thread${threads === 1 ? '' : 's'}`
}
