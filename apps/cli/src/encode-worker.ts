/** A thread that tokenises: texts in, ids out. */
import { parentPort, workerData } from 'node:worker_threads'
import { Tokenizer } from '@heed/tokenizer'
import type { TextPieces, TokenPiece } from '@heed/trainer'

const { folder, endId } = workerData as { folder: string; endId: number | undefined }
const tokenizer = await Tokenizer.fromPretrained(folder)

/** Not cut or filled up to a length that the tokenizer has for single inputs. */
const whole = { addSpecialTokens: false, truncation: false, padding: false } as const

parentPort!.on('message', ({ texts, endsLast }: TextPieces) => {
  const parts: number[][] = []
  let numBytes = 0
  for (const [i, text] of texts.entries()) {
    parts.push(tokenizer.encode(text, whole).ids)
    if (endId !== undefined && (endsLast || i < texts.length - 1)) parts.push([endId])
    numBytes += Buffer.byteLength(text)
  }
  const ids = joined(parts)
  parentPort!.postMessage({ ids, numBytes } satisfies TokenPiece, [ids.buffer])
})

function joined(parts: readonly number[][]): Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  const count = parts.reduce((sum, { length }) => sum + length, 0)
  const ids = tokenizer.vocabSize <= 2 ** 16 ? new Uint16Array(count) : new Uint32Array(count)
  let at = 0
  for (const part of parts) {
    ids.set(part, at)
    at += part.length
  }
  return ids
}
