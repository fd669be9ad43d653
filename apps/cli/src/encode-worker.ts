/** A thread that tokenises: texts in, ids out. */
import { parentPort, workerData } from 'node:worker_threads'
import { Tokenizer } from '@heed/tokenizer'
import type { TextPieces, TokenPiece } from '@heed/trainer'

const { folder, endId } = workerData as { folder: string; endId: number | undefined }
const tokenizer = await Tokenizer.fromPretrained(folder)

/** Not cut or filled up to a length that the tokenizer has for single inputs. */
const whole = { addSpecialTokens: false, truncation: false, padding: false } as const

parentPort!.on('message', ({ texts, endsLast }: TextPieces) => {
  const ids: number[] = []
  let numBytes = 0
  for (const [i, text] of texts.entries()) {
    for (const id of tokenizer.encode(text, whole).ids) ids.push(id)
    if (endId !== undefined && (endsLast || i < texts.length - 1)) ids.push(endId)
    numBytes += Buffer.byteLength(text)
  }
  const array = tokenizer.vocabSize <= 2 ** 16 ? Uint16Array.from(ids) : Uint32Array.from(ids)
  parentPort!.postMessage({ ids: array, numBytes } satisfies TokenPiece, [array.buffer])
})
