import {
  type Contestant,
  heedContestant,
  llamaCppContestant,
  onnxruntimeContestant,
  type Task,
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
}

export interface CaseResult {
  case: string
  unit: string
  ours: number
  theirs: Record<string, number>
  /** By contestant: the median over the rounds of their time / our time. */
  ratio: Record<string, number>
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
  tfjs: name => heedContestant(name, 'cpu', 1),
  torch: torchContestant,
  'torch-compile': torchContestant,
  ort: onnxruntimeContestant,
  'llama.cpp': llamaCppContestant,
  tokenizers: tokenizerContestant,
  'tokenizers-js': tokenizerContestant,
  'tokenizers-python': tokenizersPythonContestant,
}

function createContestant(name: string, threads: number): Contestant {
  const create = peers[name]
  if (create) return create(name, threads)
  throw new Error(`--against: ${name} is not known, expected ${Object.keys(peers).join(', ')}.`)
}

/** Ours and theirs in turn, round after round. */
export async function* compare(cases: BenchCase[], options: CompareOptions): AsyncGenerator<CaseResult> {
  const { backend, threads, against, rounds } = options
  const isText = cases.some(({ task }) => 'vocabulary' in task)
  const ours = isText ? tokenizerContestant('heed') : heedContestant(`heed ${backend}`, backend, threads)
  const theirs = against.map(name => createContestant(name, threads))
  try {
    for (const { title, task: taskOf, repeats, rate, unit } of cases) {
      const task = typeof taskOf === 'function' ? await taskOf() : taskOf
      const others = theirs.filter(contestant => contestant.takes(task))
      const contestants = [ours, ...others]
      for (const contestant of contestants) await contestant.measure(task, 1)
      const seconds = contestants.map((): number[] => [])
      for (let round = 0; round < rounds; round++) {
        for (const [i, contestant] of contestants.entries()) {
          seconds[i]!.push(median(await contestant.measure(task, repeats)))
        }
      }
      const [mine, ...rest] = seconds as [number[], ...number[][]]
      const entries = rest.map((other, i) => [others[i]!.name, other] as const)
      yield {
        case: title,
        unit,
        ours: rate(median(mine)),
        theirs: Object.fromEntries(entries.map(([name, other]) => [name, rate(median(other))])),
        ratio: Object.fromEntries(
          entries.map(([name, other]) => [name, median(other.map((time, round) => time / mine[round]!))]),
        ),
      }
    }
  } finally {
    for (const contestant of [ours, ...theirs]) contestant.close()
  }
}
