import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { HeedError } from '@heed/tensor-backend'
import type { CacheOptions } from '@heed/transformer'
import { Command } from 'commander'
import type { LoadOptions } from 'heed'
import { numberBetween, wholeNumber } from '../arguments.ts'
import { action, exitCodes } from '../failure.ts'
import { cacheDtypeOption, dtypeOption } from '../load-options.ts'
import type { ModelSource } from '../serve/inference/protocol.ts'
import type { HeedServer } from '../serve/server.ts'

interface ServeOptions {
  host: string
  port: number
  apiKey?: string
  dtype?: NonNullable<LoadOptions['dtype']>
  cacheDtype: NonNullable<CacheOptions['cacheDtype']>
  contextLength?: number
  chatTemplate?: string
  maxSequences: number
  maxQueue: number
  maxConnections: number
  maxBody: number
  timeout: number
  grace: number
  corsOrigin: string[]
  quiet?: boolean
}

/** `heed serve`: models behind OpenAI's HTTP interface. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('Serve models over HTTP as OpenAI does: chat, completions, embeddings, streamed or whole.')
    .argument('<models...>', 'HF folders, hub ids or .gguf files; name=PATH gives one a name of your choice')
    .option('--host <address>', 'where to listen; other machines reach 0.0.0.0', '127.0.0.1')
    .option('--port <n>', '0 takes a free one', wholeNumber(0, 65_535), 8080)
    .option('--api-key <key>', 'clients must send it; HEED_API_KEY keeps it out of the list of processes')
    .addOption(dtypeOption())
    .addOption(cacheDtypeOption())
    .option('--context-length <n>', "tokens of prompt and answer; the model's by default", wholeNumber(2))
    .option('--chat-template <file>', "a Jinja file in the place of the tokenizer's chat template")
    .option('--max-sequences <n>', 'texts that a model writes at once', wholeNumber(1), 16)
    .option('--max-queue <n>', 'requests that wait; further ones get status 429', wholeNumber(0), 256)
    .option('--max-connections <n>', 'open connections; further ones are closed', wholeNumber(1), 1024)
    .option('--max-body <bytes>', 'largest request', wholeNumber(1), 4 * 1024 * 1024)
    .option('--timeout <seconds>', 'longest answer', numberBetween(0.001, 86_400), 600)
    .option(
      '--grace <seconds>',
      'what answers under way get at SIGTERM or Ctrl-C; a second one ends at once',
      numberBetween(0, 3600),
      30,
    )
    .option('--cors-origin <origin...>', 'let pages of these origins call; none may by default', [])
    .option('--quiet', 'no line for each request')
    .addHelpText(
      'after',
      '\nExamples:\n  heed serve runs/book/model\n  heed serve chat=Qwen/Qwen2.5-0.5B-Instruct minilm=sentence-transformers/all-MiniLM-L6-v2 --port 9000',
    )
    .action(
      action(async (models: string[], options: ServeOptions) => {
        const { quiet, chatTemplate, maxBody, corsOrigin, apiKey = process.env.HEED_API_KEY, ...settings } = options
        if (apiKey === '') throw wrongUse('the API key is empty, expected a text', 'Give one, or leave it out.')
        const { HeedServer } = await import('../serve/server.ts') // the other commands need no HTTP
        const server = await HeedServer.start({
          ...settings,
          models: modelSources(models),
          apiKey,
          corsOrigins: corsOrigin,
          maxBodyBytes: maxBody,
          chatTemplate: chatTemplate === undefined ? undefined : readFileSync(chatTemplate, 'utf8'),
          log: quiet ? () => {} : line => process.stderr.write(`${line}\n`),
        })
        console.log(`Listening on ${server.url} (${server.backend})`)
        await untilTold(server)
      }),
    )
}

/** Runs until a signal; then stops gracefully. A second signal ends the process at once. */
async function untilTold(server: HeedServer): Promise<void> {
  const isTold = new Promise<'told'>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(exitCodes.interrupted))
        resolve('told')
      })
    }
  })
  const first = await Promise.race([isTold, server.ended])
  if (first !== 'told') throw first ?? new Error('the inference thread ended')
  process.stderr.write('Stopping: answers under way may end.\n')
  await server.stop()
  process.exit(0) // listeners for signals would keep nothing alive, but a client's half-open connection would
}

/** Each model under a name of its own: the one before `=`, else the last part of its place. */
function modelSources(models: readonly string[]): ModelSource[] {
  const sources = models.map(model => {
    const [, name, location] = /^([^=/\\]+)=(.+)$/.exec(model) ?? [
      undefined,
      basename(model.replace(/[/\\]+$/, '')),
      model,
    ]
    return { name: name!, location: location! }
  })
  for (const { name } of sources) {
    if (sources.filter(source => source.name === name).length === 1) continue
    throw wrongUse(`two models are called ${JSON.stringify(name)}, expected a name each`, 'Give one as name=PATH.')
  }
  return sources
}

function wrongUse(what: string, mend: string): HeedError {
  return new HeedError('HEED_ARGUMENT_INVALID', `heed serve: ${what}. ${mend}`)
}
