import type { Command } from 'commander'

/** Arguments that are one text each. */
const texts = new Set(['prompt', 'text'])

/** Ends the process when there are more arguments than the command takes; words of a text without quotes are such. */
export function refuseSpareArguments(command: Command): void {
  const { args, registeredArguments } = command
  const expected = registeredArguments.length
  const last = registeredArguments.at(-1)
  if (last?.variadic || args.length <= expected) return
  if (last && texts.has(last.name())) {
    const words = args.slice(expected - 1)
    command.error(
      `error: ${last.name()} is ${words.length} arguments, expected one text. Put it in quotes: "${words.join(' ')}".`,
    )
  }
  command.error(
    `error: too many arguments for '${command.name()}': ${args.slice(expected).join(', ')}. ` +
      `Expected ${expected}, got ${args.length}.`,
  )
}
