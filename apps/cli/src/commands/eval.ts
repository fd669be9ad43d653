import { Command } from 'commander'
import type { LoadOptions } from 'heed'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { dtypeOption, modelHelp } from '../load-options.ts'

export interface PerplexityCommandOptions {
  context?: number
  stride?: number
  dtype?: NonNullable<LoadOptions['dtype']>
  json?: boolean
}

/** `heed eval`: how well a model does. */
export function evalCommand(): Command {
  const command = new Command('eval').description('Measure a model.')
  command
    .command('perplexity')
    .description('How well a language model foresees a text: exp of the mean loss, and bits per byte.')
    .argument('<model>', modelHelp)
    .argument('[files...]', 'texts; standard input when left out')
    .option(
      '--context <n>',
      'tokens seen at once; what the model was trained on, at most 2048, by default',
      wholeNumber(2),
    )
    .option('--stride <n>', 'tokens the window moves on by; as many as it sees by default', wholeNumber(1))
    .addOption(dtypeOption())
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed eval perplexity my-model.gguf book.txt')
    .action(
      action(async (path: string, files: string[], options: PerplexityCommandOptions) => {
        const { evaluatePerplexity } = await import('../actions/eval.ts')
        await evaluatePerplexity(path, files, options)
      }),
    )
  return command
}
