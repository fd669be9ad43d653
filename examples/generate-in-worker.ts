/** Generates in a worker thread, so that this thread stays free; the text comes over piece by piece. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { AutoModelForCausalLM, init, Tokenizer } from 'heed'

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { folder: 'packages/llama/test/fixtures/stories260K', prompt: 'Once upon a time' },
  })
  let turns = 0
  const clock = setInterval(() => turns++, 1) // what this thread does meanwhile
  let story = ''
  worker.on('message', (piece: string) => {
    story += piece
  })
  worker.on('error', error => {
    throw error
  })
  worker.on('exit', () => {
    clearInterval(clock)
    console.log(story)
    console.log(turns > 0 ? 'the main thread stayed free' : 'the main thread was blocked')
  })
} else {
  const { folder, prompt } = workerData as { folder: string; prompt: string }
  await init()
  const tokenizer = await Tokenizer.fromPretrained(folder)
  const model = await AutoModelForCausalLM.fromPretrained(folder)
  const promptIds = [...tokenizer.encode(prompt).ids]
  const stream = tokenizer.decodeStream()
  const send = (piece: string): void => parentPort!.postMessage(piece)
  send(promptIds.map(id => stream.push(id)).join(''))
  await model.generate([promptIds], {
    maxNewTokens: 30,
    streamer: { put: ids => send(ids.map(id => stream.push(id)).join('')), end: () => send(stream.end()) },
  })
  model.dispose()
}
