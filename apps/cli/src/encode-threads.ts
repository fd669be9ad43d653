import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { TextPieces, TokenPiece } from '@heed/trainer'

/** Pieces under way for each thread: one being tokenised, one waiting. */
const perThread = 2

/** Tokenises by several threads; the ids come in the order of the texts. Throws what a thread threw. */
export async function* encodeByThreads(
  pieces: AsyncIterable<TextPieces>,
  { folder, endId, threads }: { folder: string; endId: number | undefined; threads: number },
): AsyncGenerator<TokenPiece> {
  const url = new URL('./encode-worker.js', import.meta.url)
  const workers = Array.from({ length: threads }, () => new Worker(url, { workerData: { folder, endId } }))
  const waiting: Promise<TokenPiece>[] = []
  /** A thread answers in the order in which it was asked. */
  const last: Promise<unknown>[] = workers.map(() => Promise.resolve())
  try {
    let turn = 0
    for await (const piece of pieces) {
      const i = turn++ % threads
      const worker = workers[i]!
      const answer = last[i]!.then(async () => {
        const answered = once(worker, 'message')
        worker.postMessage(piece)
        return (await answered)[0] as TokenPiece
      })
      answer.catch(() => {}) // it is thrown where it is waited for
      last[i] = answer
      waiting.push(answer)
      if (waiting.length >= perThread * threads) yield await waiting.shift()!
    }
    for (const answer of waiting) yield await answer
  } finally {
    await Promise.all(workers.map(worker => worker.terminate()))
  }
}
