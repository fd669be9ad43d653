import { availableParallelism, cpus, totalmem } from 'node:os'
import { type BackendFinding, examineBackends, init } from '@heed/tensor-backend'
import { formatBytes, formatTable } from '../terminal/format.ts'
import { bold, green, red } from '../terminal/style.ts'

/** Prints what `examineBackends` found. */
export async function doctor(json: boolean | undefined): Promise<void> {
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
    console.log(`  ${mark}  ${backend.padEnd(7)} ${detail(finding)}${backend === chosen ? bold('  <- chosen') : ''}`)
  }
}

function detail(finding: BackendFinding): string {
  if (!finding.isAvailable) return finding.reason
  const { instructionSet, threads } = finding
  return `${instructionSet}, ${threads} thread${threads === 1 ? '' : 's'}`
}
