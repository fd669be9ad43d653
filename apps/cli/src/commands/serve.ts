import type { CacheOptions } from '@heed/transformer'
import { Command } from 'commander'
import type { LoadOptions } from 'heed'
import { numberBetween, wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { cacheDtypeOption, dtypeOption } from '../load-options.ts'

export interface ServeOptions {
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
        const { serve } = await import('../actions/serve.ts')
        await serve(models, options)
      }),
    )
}
