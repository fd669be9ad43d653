import { Command } from 'commander'
import { action } from '../failure.ts'

/** The endings of the files it reads. */
export const tensorFiles = '.safetensors, .gguf, .bin, .pt or .pth'

/** `heed inspect`: what a model folder or a tensor file holds, read from headers only. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what a model folder or a tensor file holds, without loading it.')
    .argument('<path>', `a HuggingFace folder of a model or an adapter, or a ${tensorFiles} file`)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed inspect heed-quickstart/model')
    .action(
      action(async (path: string, { json }: { json?: boolean }) => {
        const { inspect } = await import('../actions/inspect.ts')
        await inspect(path, json)
      }),
    )
}
