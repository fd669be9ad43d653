import { Command } from 'commander'
import type { LoadOptions } from 'heed'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { dtypeOption } from '../load-options.ts'

export interface BenchOptions {
  promptTokens: number
  newTokens: number
  streams: number
  rounds: number
  dtype?: NonNullable<LoadOptions['dtype']>
  json?: boolean
}

/** `heed bench`: how fast a model reads and writes on this machine. */
export function benchCommand(): Command {
  return new Command('bench')
    .description('Measure how fast a model reads a prompt, writes one text, and writes many at once on this machine.')
    .argument('<model>', 'an HF folder or hub id, or a .gguf file')
    .option('--prompt-tokens <n>', 'tokens of a prompt', wholeNumber(2), 128)
    .option('--new-tokens <n>', 'tokens of a text', wholeNumber(2), 32)
    .option('--streams <n>', 'texts at once', wholeNumber(1, 4096), 8)
    .option('--rounds <n>', 'the median of so many is given', wholeNumber(1), 3)
    .addOption(dtypeOption())
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  heed bench my-model\n  heed bench my-model.gguf --streams 16 --json')
    .action(
      action(async (path: string, options: BenchOptions) => {
        const { bench } = await import('../actions/bench.ts')
        await bench(path, options)
      }),
    )
}
