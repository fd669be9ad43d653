import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'

/** Arguments and options that name a model or its tokenizer. */
const modelNames = new Set(['model', 'models', 'path', 'tokenizer'])

/** Where a run puts what it has made, with a file that tells. */
const made = { model: 'config.json', adapter: 'adapter_config.json' }

/** Ends the process when the folder of a run is given for a model, which lies in it: `--out` of the command that trained it. */
export function refuseRunFolders(command: Command): void {
  const given: [string, unknown][] = [
    ...command.registeredArguments.map((argument, i): [string, unknown] => [argument.name(), command.processedArgs[i]]),
    ...Object.entries(command.opts<Record<string, unknown>>()),
  ]
  for (const [name, values] of given.filter(([name]) => modelNames.has(name))) {
    for (const path of [values].flat()) {
      if (typeof path !== 'string' || !existsSync(join(path, 'metrics.jsonl'))) continue
      const part = Object.entries(made).find(([folder, file]) => existsSync(join(path, folder, file)))
      if (part)
        command.error(
          `error: ${name} is ${path}, the folder of a run, expected its model. Give ${join(path, part[0])}.`,
        )
    }
  }
}
