import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { type CaseResult, compare } from './compare.ts'
import { decodeCases, loadCases, prefillCases } from './decode.ts'
import { matmulCases } from './matmul.ts'
import { opsCases } from './ops.ts'
import { tokenizerCases } from './tokenizer.ts'
import { trainCases } from './train.ts'

const benches = {
  matmul: matmulCases,
  ops: opsCases,
  train: trainCases,
  prefill: prefillCases,
  decode: decodeCases,
  load: loadCases,
  tokenizer: tokenizerCases,
}

function figure(value: number): string {
  return value < 100 ? value.toPrecision(3) : Math.round(value).toLocaleString('en-US')
}

function versus({ ours, theirs, ratio }: Omit<CaseResult, 'case' | 'unit'>, unit: string, scale = 1): string {
  const others = Object.keys(theirs).map(
    name => `; ${name} ${figure(theirs[name]! * scale)}, ratio ${ratio[name]!.toFixed(2)}`,
  )
  return `ours ${figure(ours * scale)} ${unit}${others.join('')}`
}

function line(result: CaseResult): string {
  const { case: title, unit, peakMemory } = result
  const memory = peakMemory ? `\n    peak memory: ${versus(peakMemory, 'MB', 1e-6)}` : ''
  return `${title}: ${versus(result, unit)}${memory}`
}

// A reader that has seen enough, such as `head`, is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

await new Command('bench')
  .description('Measure Heed against its peers, in turn, in one run.')
  .argument('<name>', `one of ${Object.keys(benches).join(', ')}`)
  .option('--against <names>', 'peers that the README names; several with commas', '')
  .option('--backend <name>', 'native, wasm or cpu', 'native')
  .option('--threads <n>', 'threads of each contestant', String(availableParallelism()))
  .option('--rounds <n>', 'turns of each contestant', '7')
  .option('--case <text>', 'only cases whose title contains this', '')
  .option('--shape <name>', 'of train: nanogpt, 6x384 or gpt2-124m')
  .option('--json', 'print one JSON object per case')
  .action(async (name: string, options: Record<string, string> & { json?: boolean }) => {
    const cases = benches[name as keyof typeof benches]
    const wanted = options.shape ? `train ${options.shape}:` : options.case!
    if (!cases) throw new Error(`bench: name is ${name}, expected one of ${Object.keys(benches).join(', ')}.`)
    const results = compare(
      cases.filter(({ title }) => title.includes(wanted)),
      {
        backend: options.backend!,
        threads: Number(options.threads),
        against: options.against!.split(',').filter(Boolean),
        rounds: Number(options.rounds),
      },
    )
    for await (const result of results) console.log(options.json ? JSON.stringify(result) : line(result))
  })
  .parseAsync()
