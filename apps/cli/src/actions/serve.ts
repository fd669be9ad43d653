import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { HeedError } from '@heed/tensor-backend'
import type { ServeOptions } from '../commands/serve.ts'
import { exitCodes } from '../failure.ts'
import type { ModelSource } from '../serve/inference/protocol.ts'
import { HeedServer } from '../serve/server.ts'

/** Serves models until the process is told to end. Throws HEED_ARGUMENT_INVALID, and as `HeedServer.start`. */
export async function serve(models: readonly string[], options: ServeOptions): Promise<void> {
  const { quiet, chatTemplate, maxBody, corsOrigin, apiKey = process.env.HEED_API_KEY, ...settings } = options
  if (apiKey === '') throw wrongUse('the API key is empty, expected a text', 'Give one, or leave it out.')
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
