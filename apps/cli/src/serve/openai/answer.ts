/** What the two endpoints that write text have in common: their choices side by side, whole or as server-sent events. */
import type { Inference } from '../inference/inference.ts'
import type { GenerationEvent, GenerationRequest } from '../inference/protocol.ts'
import type { RequestContext } from './request-context.ts'

export type Piece = Extract<GenerationEvent, { type: 'piece' }>
type Begin = Extract<GenerationEvent, { type: 'begin' }>
type End = Extract<GenerationEvent, { type: 'end' }>

export type ChoiceEvent = { choice: number; event: GenerationEvent }

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
}

/** One text whole. */
export interface WholeChoice {
  begin: Begin
  pieces: Piece[]
  end: End
}

/** Texts under way: they have begun, so that a wrong request has failed by now. */
export interface Choices {
  begins: readonly Begin[]
  events: AsyncGenerator<ChoiceEvent, void, undefined>
}

/** Starts the text of each request, and waits until all have begun. Throws RequestError. */
export async function beginChoices(
  inference: Inference,
  requests: readonly GenerationRequest[],
  { signal, onTokens }: RequestContext,
): Promise<Choices> {
  inference.checkRoom(requests.length)
  const streams = requests.map(request => inference.generate(request, signal))
  try {
    const begins = await Promise.all(streams.map(async stream => (await stream.next()).value as Begin))
    for (const { promptTokens } of begins) onTokens('prompt', promptTokens)
    return { begins, events: counted(merged(streams), onTokens) }
  } catch (error) {
    await Promise.allSettled(streams.map(stream => stream.return()))
    throw error
  }
}

async function* counted(
  events: AsyncGenerator<ChoiceEvent, void, undefined>,
  onTokens: RequestContext['onTokens'],
): AsyncGenerator<ChoiceEvent, void, undefined> {
  for await (const next of events) {
    if (next.event.type === 'piece') onTokens('first', 0)
    if (next.event.type === 'end') onTokens('completion', next.event.completionTokens)
    yield next
  }
}

/** The events of several streams as they come; leaving the loop ends all. */
async function* merged(
  streams: readonly AsyncGenerator<GenerationEvent, void, undefined>[],
): AsyncGenerator<ChoiceEvent, void, undefined> {
  const next = async (choice: number) => ({ choice, result: await streams[choice]!.next() })
  const pending = new Map(streams.map((_, choice) => [choice, next(choice)]))
  try {
    while (pending.size > 0) {
      const { choice, result } = await Promise.race(pending.values())
      if (result.done) pending.delete(choice)
      else {
        pending.set(choice, next(choice))
        yield { choice, event: result.value }
      }
    }
  } finally {
    for (const last of pending.values()) last.catch(() => {}) // one has failed: the others end with it
    await Promise.allSettled(streams.map(stream => stream.return()))
  }
}

/** Waits for all texts. */
export async function wholeChoices({ begins, events }: Choices): Promise<WholeChoice[]> {
  const pieces: Piece[][] = begins.map(() => [])
  const ends: End[] = []
  for await (const { choice, event } of events) {
    if (event.type === 'piece') pieces[choice]!.push(event)
    else if (event.type === 'end') ends[choice] = event
  }
  return begins.map((begin, i) => ({ begin, pieces: pieces[i]!, end: ends[i]! }))
}

export function usageOf(promptTokens: number, completionTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  }
}
