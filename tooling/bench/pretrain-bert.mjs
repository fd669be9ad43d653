// The recipe of examples/pretrain-bert.ts by Heed and by HF's Trainer on the same text, tokenizer, sizes and validation
// masks, in turns of some steps; prints the final validation losses and the median ratios of tokens/s, by the clock and by the
// processor's time, which says the same on a machine that others use too.
// HEED_BENCH_PYTHON=python node --conditions=@heed/source --import ./tooling/scripts/typescript-hooks.mjs \
//   tooling/bench/pretrain-bert.mjs [--steps 1500] [--seeds 1] [--turn 25] [--threads 2]
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { init } from '@heed/tensor-backend'
import { maskedLmCollator, Trainer } from '@heed/trainer'
import { AutoModelForMaskedLM } from '@heed/transformer'
import { encodeParagraph, pretrainBert, readParagraphs, recipe, trainTokenizer } from '../../examples/pretrain-bert.ts'

const here = name => fileURLToPath(new URL(name, import.meta.url))
const file = here('../../data/tiny-shakespeare.txt')

/** Ours: waits for a line, trains `turn` steps, prints their seconds and tokens, and at the end the loss on eval.json. */
async function work(folder) {
  const { args, seed, turn } = JSON.parse(readFileSync(join(folder, 'recipe.json'), 'utf8'))
  await init()
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  let [startedAt, usedBefore, tokens] = [0, 0, 0]
  const used = () => Object.values(process.cpuUsage()).reduce((sum, microseconds) => sum + microseconds / 1e6, 0)
  const begin = async ({ state }) => {
    await lines.next()
    startedAt = performance.now()
    usedBefore = used()
    tokens = state.numInputTokensSeen
  }
  const turns = {
    onTrainBegin: begin,
    async onStepEnd({ state }) {
      if (state.globalStep % turn !== 0) return
      const seconds = (performance.now() - startedAt) / 1000
      const cpuSeconds = used() - usedBefore
      console.log(JSON.stringify({ seconds, cpuSeconds, tokens: state.numInputTokensSeen - tokens }))
      if (state.globalStep < state.maxSteps) await begin({ state })
    },
  }
  const saved = join(folder, 'heed')
  await pretrainBert(file, saved, { ...args, seed, loggingStrategy: 'no' }, [turns])
  const model = await AutoModelForMaskedLM.fromPretrained(saved)
  const batches = JSON.parse(readFileSync(join(folder, 'eval.json'), 'utf8'))
  const rows = batches.flatMap(({ inputIds, attentionMask, labels }) =>
    inputIds.map((ids, i) => ({ inputIds: ids, attentionMask: attentionMask[i], labels: labels[i] })),
  )
  const collator = maskedLmCollator({ maskTokenId: 4, padTokenId: 0, vocabSize: model.config.vocabSize })
  const evalDataset = { length: rows.length, get: index => rows[index] }
  const trainer = new Trainer({ model, args: { perDeviceEvalBatchSize: 32 }, evalDataset, collator })
  console.log(JSON.stringify({ evalLoss: (await trainer.evaluate()).evalLoss }))
  process.exit()
}

/** Writes what both sides read: tokenizer, training texts, masked validation batches, recipe. */
async function prepare(folder, settings) {
  const { train, test } = readParagraphs(file)
  const tokenizer = await trainTokenizer(train, recipe.vocabSize)
  await tokenizer.save(folder)
  const collator = maskedLmCollator({ maskTokenId: 4, padTokenId: 0, vocabSize: tokenizer.vocabSize })
  const encoded = [...test].map(text => encodeParagraph(tokenizer, text))
  const batches = []
  for (let start = 0; start < encoded.length; start += 32) {
    const { inputs } = collator(encoded.slice(start, start + 32), start)
    const rows = ({ values, shape: [count, width] }) =>
      Array.from({ length: count }, (_, i) => [...values.slice(i * width, (i + 1) * width)])
    const ones = { shape: inputs.inputIds.shape, values: inputs.inputIds.values.map(() => 1) }
    batches.push({
      inputIds: rows(inputs.inputIds),
      attentionMask: rows(inputs.attentionMask ?? ones),
      labels: rows(inputs.labels),
    })
  }
  const write = (name, value) => writeFileSync(join(folder, name), JSON.stringify(value))
  write('train.json', [...train])
  write('eval.json', batches)
  write('recipe.json', { ...recipe, ...settings, args: { ...recipe.args, maxSteps: settings.steps } })
}

function start(command, args, threads) {
  const env = {
    ...process.env,
    HEED_THREADS: String(threads),
    OMP_WAIT_POLICY: 'passive',
    TOKENIZERS_PARALLELISM: 'false',
  }
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  // HF's Trainer prints its own summary, which is no JSON, among the answers.
  const read = async () => {
    for (;;) {
      const { value, done } = await answers.next()
      if (done) throw new Error(`${command}: the process ended, expected an answer.`)
      if (value.startsWith('{"')) return JSON.parse(value)
    }
  }
  const turn = () => {
    child.stdin.write('\n')
    return read()
  }
  return { read, turn, close: () => child.kill() }
}

const median = values => values.toSorted((a, b) => a - b)[values.length >> 1]
const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length

async function compare({ steps, turn, seeds, threads }) {
  const python = process.env.HEED_BENCH_PYTHON
  if (!python) throw new Error('HEED_BENCH_PYTHON is not set, expected a Python with torch and transformers.')
  const losses = { heed: [], transformers: [] }
  const rates = { heed: [], transformers: [] }
  const cpuRates = { heed: [], transformers: [] }
  for (let seed = 1; seed <= seeds; seed++) {
    const folder = mkdtempSync(join(tmpdir(), 'heed-bert-'))
    await prepare(folder, { steps, turn, threads, seed })
    const contestants = {
      heed: start(process.execPath, [...process.execArgv, here('pretrain-bert.mjs'), '--worker', folder], threads),
      transformers: start(python, [here('python/pretrain_bert.py'), folder], threads),
    }
    for (let step = 0; step < steps; step += turn) {
      for (const [name, contestant] of Object.entries(contestants)) {
        const { seconds, cpuSeconds, tokens } = await contestant.turn()
        rates[name].push(tokens / seconds)
        cpuRates[name].push(tokens / cpuSeconds)
      }
      process.stderr.write(
        `seed ${seed}: step ${step + turn} of ${steps}, tokens/s ${Math.round(rates.heed.at(-1))} and ${Math.round(rates.transformers.at(-1))}\n`,
      )
    }
    for (const [name, contestant] of Object.entries(contestants)) {
      losses[name].push((await contestant.read()).evalLoss)
      contestant.close()
    }
    rmSync(folder, { recursive: true })
    process.stderr.write(`seed ${seed}: validation loss ${losses.heed.at(-1)} and ${losses.transformers.at(-1)}\n`)
  }
  const ratioOf = ({ heed, transformers }) => median(heed.map((rate, i) => rate / transformers[i]))
  const medians = ({ heed, transformers }) => ({ heed: median(heed), transformers: median(transformers) })
  const difference = mean(losses.heed) / mean(losses.transformers) - 1
  const result = {
    ...{ steps, seeds, threads, losses, difference },
    ...{ tokensPerSecond: medians(rates), ratio: ratioOf(rates) },
    ...{ tokensPerCpuSecond: medians(cpuRates), cpuRatio: ratioOf(cpuRates) },
  }
  console.log(JSON.stringify(result, null, 2))
}

const { values } = parseArgs({
  options: {
    worker: { type: 'string' },
    steps: { type: 'string', default: '1500' },
    turn: { type: 'string', default: '25' },
    seeds: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
  },
})
if (values.worker) await work(values.worker)
else await compare(Object.fromEntries(['steps', 'turn', 'seeds', 'threads'].map(name => [name, Number(values[name])])))
