import { Command } from 'commander'
import { repeated, wholeNumber } from './arguments.ts'

/** What every command on texts takes. */
export interface TextOptions {
  file?: string[]
  batchSize: number
  json?: boolean
}

/** A command that does something with each text: `<model> [texts...]`, or lines of files or of standard input. */
export function textCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument('<model>', 'a HuggingFace folder or hub id')
    .argument('[texts...]', 'the texts; without any, each line of --file or of standard input is one')
    .option('--file <path>', 'take each line of this UTF-8 file as a text; may be given again', repeated)
    .option('--batch-size <n>', 'texts that go through the model together', wholeNumber(1), 8)
    .option('--json', 'print one JSON object per line, one for each text')
}
