import { setTimeout } from 'node:timers/promises'
import {
  type Contestant,
  heedContestant,
  llamaCppContestant,
  onnxruntimeContestant,
  openBlasContestant,
  rooflineContestant,
  type Task,
  tfjsWasmContestant,
  tokenizerContestant,
  tokenizersPythonContestant,
  torchContestant,
} from './contestant.ts'

export interface BenchCase {
  title: string
  /** A function makes what the task needs first. */
  task: Task | (() => Promise<Task>)
  /** Runs of the task per turn. */
  repeats: number
  /** What a run of this many seconds amounts to, in `unit`. */
  rate(seconds: number): number
  unit: string
  /** Whether the peak of resident memory is compared too; then each contestant starts anew for the case. */
  countsMemory?: boolean
}

/** Ours, theirs by contestant, and how many times better ours is. */
interface Comparison {
  ours: number
  theirs: Record<string, number>
  ratio: Record<string, number>
}

/** The ratio is the median over the rounds of their time / our time. */
export interface CaseResult extends Comparison {
  case: string
  unit: string
  /** The most bytes that were resident at once; the ratio is theirs / ours. */
  peakMemory?: Comparison
}

export interface CompareOptions {
  backend: string
  threads: number
  against: string[]
  rounds: number
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const peers: Readonly<Record<string, (name: string, threads: number) => Contestant>> = {
  native: (name, threads) => heedContestant(name, 'native', threads),
  tfjs: name => heedContestant(name, 'cpu', 1),
  'tfjs-wasm': tfjsWasmContestant,
  torch: torchContestant,
  'torch-compile': torchContestant,
  openblas: openBlasContestant,
  ort: onnxruntimeContestant,
  'llama.cpp': llamaCppContestant,
  roofline: rooflineContestant,
  'roofline-128': rooflineContestant,
  tokenizers: tokenizerContestant,
  'tokenizers-js': tokenizerContestant,
  'tokenizers-python': tokenizersPythonContestant,
}

function createContestant(name: string, threads: number): Contestant {
  const create = peers[name]
  if (create) return create(name, threads)
  throw new Error(`--against: ${name} is not known, expected ${Object.keys(peers).join(', ')}.`)
}

/** Ours first, then theirs. */
function startContestants({ backend, threads, against }: CompareOptions, isText: boolean): Contestant[] {
  const ours = isText ? tokenizerContestant('heed') : heedContestant(`heed ${backend}`, backend, threads)
  return [ours, ...against.map(name => createContestant(name, threads))]
}

function byName(contestants: Contestant[], value: (index: number) => number): Record<string, number> {
  return Object.fromEntries(contestants.slice(1).map(({ name }, i) => [name, value(i + 1)]))
}

/** Milliseconds in which the threads of the contestant before, which may wait in a loop for more work, fall asleep. */
const settlingTime = 300

/** Milliseconds of runs that do not count: V8 and torch.compile compile what they see run often, weights are packed. */
const warmUpTime = 2000

async function warmUp(contestant: Contestant, task: Task): Promise<void> {
  const start = performance.now()
  do await contestant.measure(task, 1)
  while (performance.now() - start < warmUpTime)
}

/** Each contestant's seconds, round after round: they take turns. */
async function takeTurns(contestants: Contestant[], task: Task, repeats: number, rounds: number): Promise<number[][]> {
  for (const contestant of contestants) await warmUp(contestant, task)
  const seconds = contestants.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, contestant] of contestants.entries()) {
      await setTimeout(settlingTime)
      seconds[i]!.push(median(await contestant.measure(task, repeats)))
    }
  }
  return seconds
}

async function compareCase(started: Contestant[], benchCase: BenchCase, rounds: number): Promise<CaseResult> {
  const { title, repeats, rate, unit } = benchCase
  const task = typeof benchCase.task === 'function' ? await benchCase.task() : benchCase.task
  const contestants = started.filter((contestant, i) => i === 0 || contestant.takes(task))
  const seconds = await takeTurns(contestants, task, repeats, rounds)
  const result = {
    case: title,
    unit,
    ours: rate(median(seconds[0]!)),
    theirs: byName(contestants, i => rate(median(seconds[i]!))),
    ratio: byName(contestants, i => median(seconds[i]!.map((time, round) => time / seconds[0]![round]!))),
  }
  if (!benchCase.countsMemory) return result
  const peaks = contestants.map(contestant => contestant.peakMemory())
  const ours = peaks[0]!
  const ratio = byName(contestants, i => peaks[i]! / ours)
  return { ...result, peakMemory: { ours, theirs: byName(contestants, i => peaks[i]!), ratio } }
}

/** Ours and theirs in turn, round after round. */
export async function* compare(cases: BenchCase[], options: CompareOptions): AsyncGenerator<CaseResult> {
  const isText = cases.some(({ task }) => 'vocabulary' in task)
  let started: Contestant[] = []
  const close = (): void => {
    for (const contestant of started) contestant.close()
    started = []
  }
  try {
    for (const benchCase of cases) {
      if (benchCase.countsMemory) close()
      if (started.length === 0) started = startContestants(options, isText)
      yield await compareCase(started, benchCase, options.rounds)
    }
  } finally {
    close()
  }
}
