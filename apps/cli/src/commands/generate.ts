import { Command } from 'commander'
import type { GenerateOptions } from 'heed'
import { numberBetween, wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { cacheDtypeOption, modelHelp } from '../load-options.ts'

export interface GenerationOptions extends Pick<GenerateOptions, 'cacheDtype'> {
  maxNewTokens: number
  temperature: number
  topK: number
  topP: number
  seed: number
}

export interface GenerateCommandOptions extends GenerationOptions {
  file?: string
  json?: boolean
}

/** `heed generate`: continues a prompt with a saved model. */
export function generateCommand(): Command {
  return new Command('generate')
    .description('Continue a prompt with a model; text appears as it is made.')
    .argument('<model>', modelHelp)
    .argument('[prompt]', 'the text to continue; without one, --file or standard input is it')
    .option('--file <path>', 'take the whole of this UTF-8 file as the prompt')
    .option('--max-new-tokens <n>', 'tokens to write', wholeNumber(1), 200)
    .option('--temperature <x>', '0 takes the likeliest token each time', numberBetween(0, 100), 0.8)
    .option('--top-k <n>', 'sample among the k likeliest tokens; 0 for all', wholeNumber(0), 50)
    .option('--top-p <x>', 'sample among the likeliest tokens that hold this probability', numberBetween(0, 1), 1)
    .option('--seed <n>', 'of the sampling', wholeNumber(0), 42)
    .addOption(cacheDtypeOption())
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed generate heed-quickstart/model "ROMEO:" --max-new-tokens 100')
    .action(
      action(async (source: string, prompt: string | undefined, options: GenerateCommandOptions) => {
        const { generate } = await import('../actions/generate.ts')
        await generate(source, prompt, options)
      }),
    )
}
