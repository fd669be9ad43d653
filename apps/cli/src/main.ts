#!/usr/bin/env node
import { createRequire } from 'node:module'
import { Command } from 'commander'
import { benchCommand } from './commands/bench.ts'
import { chatCommand } from './commands/chat.ts'
import { classifyCommand } from './commands/classify.ts'
import { completionCommand } from './commands/completion.ts'
import { convertCommand, quantizeCommand } from './commands/convert.ts'
import { dataCommand } from './commands/data.ts'
import { doctorCommand } from './commands/doctor.ts'
import { embedCommand } from './commands/embed.ts'
import { evalCommand } from './commands/eval.ts'
import { fillMaskCommand } from './commands/fill-mask.ts'
import { finetuneCommand } from './commands/finetune.ts'
import { generateCommand } from './commands/generate.ts'
import { inspectCommand } from './commands/inspect.ts'
import { quickstartCommand } from './commands/quickstart.ts'
import { serveCommand } from './commands/serve.ts'
import { tokenizerCommand } from './commands/tokenizer/command.ts'
import { trainCommand } from './commands/train.ts'
import { translateCommand } from './commands/translate.ts'
import { applyConfigFile } from './config-file.ts'
import { refuseEmptyPaths } from './empty-paths.ts'
import { exitCodes, fail } from './failure.ts'
import { refuseRunFolders } from './run-folders.ts'
import { refuseSpareArguments } from './spare-arguments.ts'

const { version } = createRequire(import.meta.url)('../package.json') as { version: string }

const program = new Command('heed')
  .description('Train and run transformer language models.')
  .version(version)
  .configureHelp({ showGlobalOptions: true })
  .showHelpAfterError('(add --help for the options)')
  .allowExcessArguments() // which refuseSpareArguments refuses
  .exitOverride(error => process.exit(error.exitCode === 0 ? 0 : exitCodes.usage))

for (const command of [
  quickstartCommand(),
  dataCommand(),
  trainCommand(),
  finetuneCommand(),
  generateCommand(),
  chatCommand(),
  serveCommand(),
  fillMaskCommand(),
  classifyCommand(),
  embedCommand(),
  translateCommand(),
  tokenizerCommand(),
  evalCommand(),
  convertCommand(),
  quantizeCommand(),
  inspectCommand(),
  doctorCommand(),
  benchCommand(),
  completionCommand(),
]) {
  program.addCommand(command)
}

/** Commands made apart do not take over how errors are shown and end the process. */
function passOnSettings(parent: Command): void {
  for (const command of parent.commands) passOnSettings(command.copyInheritedSettings(parent) as Command)
}
passOnSettings(program)

try {
  applyConfigFile(program)
} catch (error) {
  fail(error, false)
}

// a reader that has seen enough, such as `head`, is no fault
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
})

// nor is a terminal that was closed (EIO): SIGHUP tells of it, on which a training saves first
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EIO') throw error
  })
}

program.hook('preAction', (_, command) => {
  refuseSpareArguments(command)
  refuseEmptyPaths(command)
  refuseRunFolders(command)
})
await program.parseAsync()
