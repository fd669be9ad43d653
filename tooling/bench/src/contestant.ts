import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A process that does a task so many times and says how long it took. */
export interface Contestant {
  readonly name: string
  /** Seconds of each of `repeats` runs of the task, or of as many as 5 seconds hold. The first request of a task also prepares and warms it up. */
  measure(task: Task, repeats: number): Promise<number[]>
  close(): void
}

export interface Task {
  name: 'matmul' | 'train'
  sizes: Record<string, number>
}

class WorkerProcess implements Contestant {
  private readonly answers: AsyncIterator<string>

  constructor(
    readonly name: string,
    private readonly child: ChildProcess,
  ) {
    this.answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  }

  async measure(task: Task, repeats: number): Promise<number[]> {
    this.child.stdin!.write(`${JSON.stringify({ ...task, repeats })}\n`)
    const { value, done } = await this.answers.next()
    if (done) throw new Error(`${this.name}: the process ended, code ${this.child.exitCode}`)
    return JSON.parse(value).seconds as number[]
  }

  close(): void {
    this.child.kill()
  }
}

/** Heed on one of its backends; `cpu` is tfjs's own. */
export function heedContestant(name: string, backend: string, threads: number): Contestant {
  const worker = fileURLToPath(new URL('heed-worker.js', import.meta.url))
  const env = { ...process.env, HEED_BACKEND: backend, HEED_THREADS: String(threads) }
  return new WorkerProcess(name, spawn(process.execPath, [worker], { env, stdio: ['pipe', 'pipe', 'inherit'] }))
}

/** PyTorch, where HEED_BENCH_PYTHON names a Python that has it. */
export function torchContestant(name: string, threads: number): Contestant {
  const python = process.env.HEED_BENCH_PYTHON
  if (!python) throw new Error(`${name}: HEED_BENCH_PYTHON is not set, expected the path of a Python that has torch.`)
  const worker = fileURLToPath(new URL('../python/torch_worker.py', import.meta.url))
  const args = [worker, '--threads', String(threads), ...(name === 'torch-compile' ? ['--compile'] : [])]
  return new WorkerProcess(name, spawn(python, args, { stdio: ['pipe', 'pipe', 'inherit'] }))
}
