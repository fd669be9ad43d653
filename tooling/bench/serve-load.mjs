// A server under load: `--streams` clients, each asking for one text after another for `--seconds`, against `heed serve`
// that writes them in one batch, and against the same server one text at a time (--max-sequences 1). Prints failures,
// tokens/s, and the median and 99th percentile of the time to the first token and between two tokens, in milliseconds.
// node tooling/bench/serve-load.mjs MODEL [--streams 64] [--seconds 300] [--sequential-seconds 60] [--max-tokens 64]
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    streams: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '300' },
    'sequential-seconds': { type: 'string', default: '60' },
    'max-tokens': { type: 'string', default: '64' },
  },
})
const [streams, seconds, sequentialSeconds, maxTokens] = Object.values(values).map(Number)
const main = fileURLToPath(new URL('../../apps/cli/bin/heed.js', import.meta.url))

async function startServer(maxSequences) {
  const limits = ['--max-sequences', `${maxSequences}`, '--max-queue', `${streams}`, '--port', '0', '--quiet']
  const child = spawn(process.execPath, [main, 'serve', `model=${positionals[0]}`, ...limits], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    text += chunk
    const found = /Listening on (\S+)/.exec(text)
    if (found) return { child, url: found[1] }
  }
  throw new Error(`heed serve did not start: ${text}`)
}

/** One text: the moments when its tokens came. */
async function ask(url, seed) {
  const begin = performance.now()
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'model',
      prompt: 'Once upon a time',
      max_tokens: maxTokens,
      seed,
      stream: true,
      logprobs: 0,
    }),
  })
  if (response.status !== 200) throw new Error(`status ${response.status}`)
  const moments = [begin]
  let text = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const count = chunk.split('"tokens":').length - 1
    const now = performance.now()
    for (let i = 0; i < count; i++) moments.push(now)
    text = text.slice(-100) + chunk
  }
  if (!text.endsWith('data: [DONE]\n\n')) throw new Error('the stream was cut')
  return moments
}

async function load(maxSequences, duration) {
  const { child, url } = await startServer(maxSequences)
  const [end, begin] = [performance.now() + 1000 * duration, performance.now()]
  const [first, between, failures] = [[], [], []]
  let [texts, tokens] = [0, 0]
  async function client(index) {
    for (let turn = 0; performance.now() < end; turn++) {
      try {
        const moments = await ask(url, 1000 * index + turn)
        texts += 1
        tokens += moments.length - 1
        first.push(moments[1] - moments[0])
        for (let i = 2; i < moments.length; i++) between.push(moments[i] - moments[i - 1])
      } catch (error) {
        failures.push(error.message)
      }
    }
  }
  await Promise.all(Array.from({ length: streams }, (_, i) => client(i)))
  const elapsed = (performance.now() - begin) / 1000
  const memory = /^process_resident_memory_bytes (\S+)/m.exec(await (await fetch(`${url}/metrics`)).text())[1]
  child.kill('SIGTERM')
  const code = await new Promise(resolve => child.on('close', resolve))
  const quantile = (list, q) => Math.round(list.toSorted((a, b) => a - b)[Math.floor(q * (list.length - 1))] ?? 0)
  return {
    maxSequences,
    seconds: Math.round(elapsed),
    texts,
    failures: failures.length,
    tokensPerSecond: Math.round(tokens / elapsed),
    firstToken: { p50: quantile(first, 0.5), p99: quantile(first, 0.99) },
    betweenTokens: { p50: quantile(between, 0.5), p99: quantile(between, 0.99) },
    residentMegabytes: Math.round(Number(memory) / 2 ** 20),
    exitCode: code,
  }
}

console.log(JSON.stringify({ streams, ...(await load(streams, seconds)) }))
console.log(JSON.stringify({ streams, ...(await load(1, sequentialSeconds)) }))
