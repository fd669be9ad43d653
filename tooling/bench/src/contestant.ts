import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { corpusText } from './corpora.ts'

/** A process that does a task so many times and says how long it took. */
export interface Contestant {
  readonly name: string
  /** Whether it can do this task. */
  takes(task: Task): boolean
  /** Seconds of each of `repeats` runs of the task, or of as many as 5 seconds hold. The first request of a task also prepares and warms it up. */
  measure(task: Task, repeats: number): Promise<number[]>
  close(): void
}

export type Task = TensorTask | TokenizerTask | ModelTask

export interface TensorTask {
  name: 'matmul' | 'train'
  sizes: Record<string, number>
}

/** Names of `corpora.ts`; to learn, a kind of vocabulary. */
export interface TokenizerTask {
  name: 'encode' | 'learn'
  vocabulary: string
  text: string
}

/** A model of `models.ts`: `prompt` tokens are read, then, to decode, `written` ones come one by one, which alone is timed. */
export interface ModelTask {
  name: 'prefill' | 'decode' | 'load'
  model: string
  path: string
  prompt: number
  written: number
}

const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit']

export function isModelTask(task: Task): task is ModelTask {
  return 'model' in task
}
const isTensorTask = (task: Task): boolean => 'sizes' in task
const isGguf = (task: Task): boolean => isModelTask(task) && task.path.endsWith('.gguf')
const isGpt2 = (task: Task): boolean => isModelTask(task) && !isGguf(task) && task.name !== 'load'

class WorkerProcess implements Contestant {
  private readonly answers: AsyncIterator<string>

  constructor(
    readonly name: string,
    readonly takes: (task: Task) => boolean,
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
  return new WorkerProcess(
    name,
    task => backend !== 'cpu' || isTensorTask(task),
    spawn(process.execPath, [worker], { env, stdio }),
  )
}

/** PyTorch, where HEED_BENCH_PYTHON names a Python that has it. */
export function torchContestant(name: string, threads: number): Contestant {
  const python = pythonFor(name, 'torch')
  const worker = fileURLToPath(new URL('../python/torch_worker.py', import.meta.url))
  const args = [worker, '--threads', String(threads), ...(name === 'torch-compile' ? ['--compile'] : [])]
  return new WorkerProcess(name, task => isTensorTask(task) || isGpt2(task), spawn(python, args, { stdio }))
}

/** onnxruntime-node on an export of the model by PyTorch, where HEED_BENCH_PYTHON names a Python that has torch and onnx. */
export function onnxruntimeContestant(name: string, threads: number): Contestant {
  const worker = fileURLToPath(new URL('onnxruntime-worker.js', import.meta.url))
  const env = { ...process.env, HEED_BENCH_PYTHON: pythonFor(name, 'torch and onnx') }
  return new WorkerProcess(name, isGpt2, spawn(process.execPath, [worker, String(threads)], { env, stdio }))
}

/** llama.cpp as node-llama-cpp ships it, on the same file. */
export function llamaCppContestant(name: string, threads: number): Contestant {
  const worker = fileURLToPath(new URL('llama-cpp-worker.js', import.meta.url))
  return new WorkerProcess(name, isGguf, spawn(process.execPath, [worker, String(threads)], { stdio }))
}

/** A tokenizer in a Node process: `heed`, HF's Rust (`tokenizers`) or HF's TypeScript (`tokenizers-js`). */
export function tokenizerContestant(name: string): Contestant {
  const worker = fileURLToPath(new URL('tokenizer-worker.js', import.meta.url))
  const env = { ...process.env, TOKENIZERS_PARALLELISM: 'false', RAYON_NUM_THREADS: '1' }
  const takes = ({ name: task }: Task): boolean => task === 'encode' || (task === 'learn' && name === 'heed')
  return new WorkerProcess(name, takes, spawn(process.execPath, [worker, name], { env, stdio }))
}

/** HF's Rust trainers, whose settings its npm package cannot give, where HEED_BENCH_PYTHON has them. */
export function tokenizersPythonContestant(name: string): Contestant {
  const python = pythonFor(name, 'tokenizers')
  const worker = fileURLToPath(new URL('../python/tokenizers_worker.py', import.meta.url))
  const corpus = join(mkdtempSync(join(tmpdir(), 'heed-bench-')), 'corpus.txt')
  writeFileSync(corpus, corpusText('corpus'))
  return new WorkerProcess(name, task => task.name === 'learn', spawn(python, [worker, corpus], { stdio }))
}

function pythonFor(name: string, library: string): string {
  const python = process.env.HEED_BENCH_PYTHON
  if (python) return python
  throw new Error(`${name}: HEED_BENCH_PYTHON is not set, expected the path of a Python that has ${library}.`)
}
