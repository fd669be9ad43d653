import type { Command } from 'commander'

/** Arguments of commands that are paths. */
const pathArguments = new Set(['model', 'models', 'out', 'path', 'tokenizer', 'files'])

/** Ends the process when a path is empty, as a shell leaves it where a variable is not set: it would mean the current folder, or `/`. */
export function refuseEmptyPaths(command: Command): void {
  for (const [i, argument] of command.registeredArguments.entries()) {
    const values = [command.processedArgs[i] as string | string[] | undefined].flat()
    if (pathArguments.has(argument.name()) && values.includes('')) refuse(command, `argument '${argument.name()}'`)
  }
  for (const option of command.options) {
    const isPath = /<(folder|file|path)>/.test(option.flags)
    if (isPath && command.getOptionValue(option.attributeName()) === '') refuse(command, `option '${option.flags}'`)
  }
}

function refuse(command: Command, what: string): never {
  return command.error(`error: ${what} is empty, expected a path.`)
}
