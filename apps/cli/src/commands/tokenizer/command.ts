import { Command } from 'commander'
import { decodeCommand } from './decode.ts'
import { encodeCommand } from './encode.ts'
import { inspectCommand } from './inspect.ts'
import { trainCommand } from './train.ts'

/** `heed tokenizer train | encode | decode | inspect`. */
export function tokenizerCommand(): Command {
  return new Command('tokenizer')
    .description('Train a tokenizer, look into one, or turn text into ids and back.')
    .addCommand(trainCommand())
    .addCommand(encodeCommand())
    .addCommand(decodeCommand())
    .addCommand(inspectCommand())
}
