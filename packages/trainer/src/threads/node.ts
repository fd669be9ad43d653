import { Worker } from 'node:worker_threads'
import { HeedError } from '@heed/tensor-backend'
import type { MapCall, MapJob } from '../data/map-rows.ts'

// The program of a thread, as text: it runs beside the package's sources and its build alike.
const program = `import { parentPort, workerData } from 'node:worker_threads'
const { url, batched, fnKwargs } = workerData
const { default: change } = await import(url)
if (typeof change !== 'function') throw new Error(url + ' has no function as its default export')
parentPort.on('message', async ({ rows, indices }) => {
  try {
    if (batched) return parentPort.postMessage({ result: await change(rows, indices, fnKwargs) })
    const result = []
    for (const [i, row] of rows.entries()) result.push(await change(row, indices[i], fnKwargs))
    parentPort.postMessage({ result })
  } catch (error) {
    parentPort.postMessage({ failure: { message: String(error?.message ?? error), code: error?.code, stack: error?.stack } })
  }
})`

interface Answer {
  result?: unknown
  failure?: { message: string; code?: string; stack?: string }
}

/** What the function gave for each job, in their order, by threads that each take the next job. Throws what it threw. */
export async function mapByThreads(
  jobs: readonly MapJob[],
  url: string,
  call: MapCall,
  numThreads: number,
): Promise<unknown[]> {
  const script = new URL(`data:text/javascript,${encodeURIComponent(program)}`)
  const workers = Array.from({ length: numThreads }, () => new Worker(script, { workerData: { url, ...call } }))
  const results: unknown[] = []
  let next = 0
  const serve = async (worker: Worker): Promise<void> => {
    const ended = endOf(worker)
    while (next < jobs.length) {
      const place = next++
      const answer = new Promise<Answer>(resolve => worker.once('message', resolve))
      worker.postMessage(jobs[place])
      const { result, failure } = await Promise.race([answer, ended])
      if (failure) throw Object.assign(new Error(failure.message), failure)
      results[place] = result
    }
  }
  try {
    await Promise.all(workers.map(serve))
    return results
  } finally {
    await Promise.all(workers.map(worker => worker.terminate()))
  }
}

/** Rejects when a thread ends. */
function endOf(worker: Worker): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    worker.on('error', reject)
    worker.on('exit', code =>
      reject(
        new HeedError(
          'HEED_IO',
          `Dataset.map: a thread ended with ${code}, expected it to go on. Do not end the process in the function.`,
        ),
      ),
    )
  })
  ended.catch(() => {}) // when all jobs are done a thread may end
  return ended
}
