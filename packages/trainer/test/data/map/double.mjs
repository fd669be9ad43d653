import { threadId } from 'node:worker_threads'

/** A row for a row, with the thread that made it. */
export default function double(row, index, { factor, failAt, exitAt } = { factor: 2 }) {
  if (index === failAt) throw Object.assign(new Error(`row ${index} is bad`), { code: 'HEED_FILE_INVALID' })
  if (index === exitAt) process.exit(3)
  return { value: row * factor, index, threadId }
}
