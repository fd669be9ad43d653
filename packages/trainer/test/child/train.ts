/** Trains until it is killed or interrupted, and prints each checkpoint; argv is the folder. */
import { interruptSignal } from '../../src/index.ts'
import { smallRun } from './small-run.ts'

const print = (text: string): void => void process.stdout.write(`${text}\n`)
const { signal } = interruptSignal()
const callback = { onSave: ({ checkpoint }: { checkpoint?: string }) => print(checkpoint!) }
const { globalStep, isInterrupted } = await smallRun(process.argv[2]!, 100_000, { signal }, [callback])
print(JSON.stringify({ globalStep, isInterrupted }))
