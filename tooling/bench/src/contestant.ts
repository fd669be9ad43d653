import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
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
  /** Seconds of each of `repeats` runs of the task, or of as many as 5 seconds hold. The first request of a task also prepares it. */
  measure(task: Task, repeats: number): Promise<number[]>
  /** The most bytes of memory the process has had resident; where /proc tells, NaN elsewhere. */
  peakMemory(): number
  close(): void
}

export type Task = TensorTask | TokenizerTask | ModelTask

export interface TensorTask {
  name: 'matmul' | 'train' | 'op'
  /** The operation, the architecture, or whether the right side of a product is transposed. */
  kind: string
  sizes: Record<string, number>
}

/** Names of `corpora.ts`; to learn, a kind of vocabulary. */
export interface TokenizerTask {
  name: 'encode' | 'learn'
  vocabulary: string
  text: string
  /** Whether each line is a text of its own, one after the other. */
  isByLines?: boolean
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
const isProduct = ({ name }: Task): boolean => name === 'matmul'
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

  peakMemory(): number {
    try {
      const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8')
      return 1024 * Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1])
    } catch {
      return Number.NaN
    }
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

/** tfjs's own WebAssembly backend; in Node it runs on one thread, whatever it is asked for. */
export function tfjsWasmContestant(name: string): Contestant {
  const worker = fileURLToPath(new URL('tfjs-wasm-worker.js', import.meta.url))
  return new WorkerProcess(name, isProduct, spawn(process.execPath, [worker], { stdio }))
}

/** The OpenBLAS that comes with numpy, where HEED_BENCH_PYTHON names a Python that has it. */
export function openBlasContestant(name: string, threads: number): Contestant {
  const worker = fileURLToPath(new URL('../python/openblas_worker.py', import.meta.url))
  // It is to choose its kernels by the processor, whatever is set here.
  const { OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE, ...rest } = process.env
  const env = { ...rest, OPENBLAS_NUM_THREADS: String(threads) }
  return new WorkerProcess(name, isProduct, spawn(pythonFor(name, 'numpy'), [worker], { env, stdio }))
}

/** The best this machine could do, measured: see `native/roofline.cc`; `roofline-128` on vectors of 128 bits. Needs a C++ compiler. */
export function rooflineContestant(name: string, threads: number): Contestant {
  const source = fileURLToPath(new URL('../native/roofline.cc', import.meta.url))
  const program = join(mkdtempSync(join(tmpdir(), 'heed-bench-')), 'roofline')
  const compiler = process.env.CXX ?? 'g++'
  const flags = ['-std=c++17', '-O3', '-march=native', '-ffp-contract=fast', '-pthread']
  if (name === 'roofline-128') flags.push('-DHEED_VECTOR_BYTES=16')
  const { status } = spawnSync(compiler, [...flags, source, '-o', program], { stdio: 'inherit' })
  if (status !== 0) throw new Error(`${name}: ${compiler} cannot compile ${source}. Set CXX to a C++ compiler.`)
  return new WorkerProcess(name, isProduct, spawn(program, [String(threads)], { stdio }))
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
