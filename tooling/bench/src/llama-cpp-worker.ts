// Does model tasks for `contestant.ts` with llama.cpp, as node-llama-cpp ships it. Arguments: threads.
import { getLlama, type LlamaContextSequence, LlamaLogLevel, type Token } from 'node-llama-cpp'
import { isModelTask, type ModelTask } from './contestant.ts'
import { type Run, serveTasks } from './serve-tasks.ts'

const threads = Number(process.argv[2])
const engine = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads })

const promptOf = (count: number): Token[] => Array.from({ length: count }, (_, i) => (100 + i) as Token)

async function loadRun(path: string): Promise<Run> {
  return async () => {
    const start = performance.now()
    const model = await engine.loadModel({ modelPath: path })
    const context = await model.createContext({ contextSize: 1024, threads })
    for await (const _ of context.getSequence().evaluate(promptOf(1), { temperature: 0, yieldEogToken: true })) break
    const seconds = (performance.now() - start) / 1000
    await context.dispose()
    await model.dispose()
    return seconds
  }
}

async function decode(sequence: LlamaContextSequence, { prompt, written }: ModelTask): Promise<number> {
  await sequence.clearHistory()
  const tokens = promptOf(prompt + 1)
  await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(0, prompt))
  const start = performance.now()
  let count = 0
  for await (const _ of sequence.evaluate(tokens.slice(prompt), { temperature: 0, yieldEogToken: true })) {
    count++
    if (count === written) break
  }
  return (performance.now() - start) / 1000
}

/** One model at a time is in memory. */
let closeLast = async (): Promise<void> => {}

await serveTasks(async task => {
  if (!isModelTask(task)) throw new Error(`llama-cpp-worker: the task is ${task.name}, expected one with a model.`)
  await closeLast()
  closeLast = async () => {}
  if (task.name === 'load') return loadRun(task.path)
  const model = await engine.loadModel({ modelPath: task.path })
  const context = await model.createContext({ contextSize: 1024, batchSize: 512, threads })
  const sequence = context.getSequence()
  closeLast = async () => {
    await context.dispose()
    await model.dispose()
  }
  if (task.name === 'decode') return () => decode(sequence, task)
  return async () => {
    await sequence.clearHistory()
    const start = performance.now()
    const last = task.prompt - 1
    const input = promptOf(task.prompt).map((token, i): Token | [Token, { generateNext: { token: true } }] =>
      i === last ? [token, { generateNext: { token: true } }] : token,
    )
    await sequence.controlledEvaluate(input)
    return (performance.now() - start) / 1000
  }
})
