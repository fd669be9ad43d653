// Does tasks for `contestant.ts` with Heed: a line of JSON in, a line of JSON out.
import { init } from '@heed/tensor-backend'
import type { CausalLm } from '@heed/transformer'
import { AutoModelForCausalLM } from 'heed'
import { isModelTask, type ModelTask } from './contestant.ts'
import { type Run, serveTasks } from './serve-tasks.ts'
import { matmul, op, train } from './tensor-tasks.ts'

const loadModel = ({ path }: ModelTask): Promise<CausalLm> => AutoModelForCausalLM.fromPretrained(path)

const promptOf = (count: number): number[] => Array.from({ length: count }, (_, i) => 100 + i)

/** Seconds from the first token after the prompt to the last, as a streamer sees them. */
async function decode(model: CausalLm, { prompt, written }: ModelTask): Promise<number> {
  const times: number[] = []
  const streamer = { put: () => void times.push(performance.now()) }
  await model.generate([promptOf(prompt)], { maxNewTokens: written + 1, eosTokenId: [], streamer })
  return (times.at(-1)! - times[0]!) / 1000
}

/** One model at a time is in memory. */
let last: { key: string; model: CausalLm } | undefined

async function prepareModel(task: ModelTask): Promise<Run> {
  if (last?.key !== task.model) {
    last?.model.dispose()
    last = undefined
  }
  if (task.name === 'load') {
    return async () => {
      const start = performance.now()
      const model = await loadModel(task)
      await model.generate([promptOf(1)], { maxNewTokens: 1, eosTokenId: [] })
      const seconds = (performance.now() - start) / 1000
      model.dispose()
      return seconds
    }
  }
  last ??= { key: task.model, model: await loadModel(task) }
  const { model } = last
  if (task.name === 'decode') return () => decode(model, task)
  return () => model.generate([promptOf(task.prompt)], { maxNewTokens: 1, eosTokenId: [] })
}

await init()
await serveTasks(task => {
  if (task.name === 'matmul') return matmul(task)
  if (task.name === 'train') return train(task)
  if (task.name === 'op') return op(task)
  if (isModelTask(task)) return prepareModel(task)
  throw new Error(`heed-worker: the task is ${task.name}, expected matmul, train, op or one with a model.`)
})
