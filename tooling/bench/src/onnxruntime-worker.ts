// Does model tasks for `contestant.ts` with onnxruntime-node, on an export by PyTorch. Arguments: threads.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { isModelTask } from './contestant.ts'
import { serveTasks } from './serve-tasks.ts'

type Tensors = Record<string, Tensor>

const [layers, heads, headDim, vocabSize] = [12, 12, 64, 50257]
const threads = Number(process.argv[2])

/** The model of an HF folder as ONNX, exported the first time. */
function exported(folder: string): string {
  const path = join(folder, 'model.onnx')
  if (existsSync(path)) return path
  const script = fileURLToPath(new URL('../python/export_gpt2.py', import.meta.url))
  const { status } = spawnSync(process.env.HEED_BENCH_PYTHON!, [script, folder, path], { stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`onnxruntime-worker: ${script} ended with code ${status}.`)
  return path
}

const emptyCache = (): Tensors =>
  Object.fromEntries(
    Array.from({ length: 2 * layers }, (_, i) => [
      `past_${i}`,
      new Tensor('float32', new Float32Array(0), [1, heads, 0, headDim]),
    ]),
  )

function argmax(scores: Float32Array): number {
  let best = 0
  for (let i = 1; i < scores.length; i++) if (scores[i]! > scores[best]!) best = i
  return best
}

await serveTasks(async task => {
  if (!isModelTask(task)) throw new Error(`onnxruntime-worker: the task is ${task.name}, expected one with a model.`)
  const session = await InferenceSession.create(exported(task.path), {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
  })

  async function step(ids: number[], past: Tensors): Promise<{ next: number; present: Tensors }> {
    const inputIds = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length])
    const { logits, ...outputs } = (await session.run({ input_ids: inputIds, ...past })) as Tensors
    const present = Object.fromEntries(
      Object.entries(outputs).map(([name, value]) => [name.replace('present', 'past'), value]),
    )
    return { next: argmax((logits!.data as Float32Array).subarray(-vocabSize)), present }
  }

  const prompt = Array.from({ length: task.prompt }, (_, i) => 100 + i)
  if (task.name === 'prefill') return () => step(prompt, emptyCache())
  return async () => {
    let { next, present } = await step(prompt, emptyCache())
    const start = performance.now()
    for (let i = 0; i < task.written; i++) ({ next, present } = await step([next], present))
    return (performance.now() - start) / 1000
  }
})
