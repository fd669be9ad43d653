import { Command } from 'commander'
import { action } from '../failure.ts'

/** `heed doctor`: what was found on this machine, and why a backend was not chosen. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Show what was found on this machine, which backend is chosen, and why others are not.')
    .option('--json', 'print one JSON object')
    .action(
      action(async ({ json }: { json?: boolean }) => {
        const { doctor } = await import('../actions/doctor.ts')
        await doctor(json)
      }),
    )
}
