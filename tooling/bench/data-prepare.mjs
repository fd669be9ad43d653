// `heed data prepare` against `datasets.map` of HuggingFace with the same fast tokenizer, one thread each, in turns. Ours is
// timed from its start to its end, with the files read and the tokens written; theirs is the call of `map` alone, which
// writes its Arrow file.
// HEED_BENCH_PYTHON=python node tooling/bench/data-prepare.mjs [--vocabulary gpt2] [--rounds 3] [--megabytes 40]
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Tokenizer } from '@heed/tokenizer'
import { corpusText, vocabulary } from './dist/corpora.js'

const here = name => fileURLToPath(new URL(name, import.meta.url))

/** Rows of some 2,000 characters of the corpus, from its start again when it ends. */
function writeRows(file, bytes) {
  const paragraphs = corpusText('corpus').match(/(?:[^\n]*\n+){1,20}/g)
  const rows = []
  for (let written = 0, i = 0; written < bytes; i++) {
    const text = paragraphs[i % paragraphs.length]
    rows.push(JSON.stringify({ text }))
    written += Buffer.byteLength(text)
  }
  writeFileSync(file, `${rows.join('\n')}\n`)
}

function run(command, args) {
  const env = { ...process.env, TOKENIZERS_PARALLELISM: 'false', RAYON_NUM_THREADS: '1' }
  const startedAt = performance.now()
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: it failed. ${stderr}`)
  return {
    ...JSON.parse(stdout.split('\n').find(line => line.startsWith('{'))),
    wallSeconds: (performance.now() - startedAt) / 1000,
  }
}

const { values } = parseArgs({
  options: {
    vocabulary: { type: 'string', default: 'gpt2' },
    rounds: { type: 'string', default: '3' },
    megabytes: { type: 'string', default: '40' },
  },
})
const python = process.env.HEED_BENCH_PYTHON
if (!python) throw new Error('HEED_BENCH_PYTHON is not set, expected a Python with datasets and transformers.')
const folder = mkdtempSync(join(tmpdir(), 'heed-prepare-'))
try {
  const rows = join(folder, 'rows.jsonl')
  const tokenizer = join(folder, 'tokenizer')
  mkdirSync(tokenizer)
  writeRows(rows, values.megabytes * 1e6)
  const { tokenizer: json } = vocabulary(values.vocabulary)
  await Tokenizer.fromJSON(json, { tokenizer_class: 'PreTrainedTokenizerFast' }).save(tokenizer)
  const prepare = [
    'data',
    'prepare',
    rows,
    '--format',
    'json',
    '--tokenizer',
    tokenizer,
    '--workers',
    '1',
    '--no-eos',
    '--json',
  ]
  const rounds = Array.from({ length: Number(values.rounds) }, (_, i) => {
    const ours = run(process.execPath, [here('../../apps/cli/bin/heed.js'), ...prepare, '--out', join(folder, `${i}`)])
    const theirs = run(python, [here('python/datasets_map.py'), rows, tokenizer])
    if (ours.numTokens !== theirs.numTokens) {
      throw new Error(`ours made ${ours.numTokens} tokens, expected as many as theirs, ${theirs.numTokens}.`)
    }
    return { ours: ours.wallSeconds, theirs: theirs.seconds, ratio: theirs.seconds / ours.wallSeconds }
  })
  const median = numbers => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
  const ratio = median(rounds.map(round => round.ratio))
  console.log(JSON.stringify({ vocabulary: values.vocabulary, megabytes: Number(values.megabytes), ratio, rounds }))
} finally {
  rmSync(folder, { recursive: true })
}
