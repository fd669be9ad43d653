import { createInterface } from 'node:readline'
import type { Task } from './contestant.ts'

/** A slow contestant does fewer repeats in a turn. */
const maxTurnSeconds = 5

/** What a run is measured by: the seconds it gives, which leave out what goes before, or else those it takes. */
export type Run = () => unknown

/** Does the tasks of `contestant.ts`: a line of JSON in, a line of JSON out. A task is prepared once. */
export async function serveTasks(prepare: (task: Task) => Run | Promise<Run>): Promise<void> {
  process.stdout.on('error', () => process.exit()) // whoever asked is gone
  const prepared = new Map<string, Run>()
  for await (const line of createInterface({ input: process.stdin })) {
    const { repeats, ...task } = JSON.parse(line) as Task & { repeats: number }
    const key = JSON.stringify(task)
    let run = prepared.get(key)
    if (!run) {
      run = await prepare(task)
      prepared.set(key, run)
    }
    const seconds: number[] = []
    const turn = performance.now()
    while (seconds.length < repeats && (seconds.length === 0 || performance.now() - turn < maxTurnSeconds * 1000)) {
      const start = performance.now()
      const measured = await run()
      seconds.push(typeof measured === 'number' ? measured : (performance.now() - start) / 1000)
    }
    process.stdout.write(`${JSON.stringify({ seconds })}\n`)
  }
}
