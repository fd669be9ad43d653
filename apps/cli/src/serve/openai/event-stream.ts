import { RequestError } from '../request-error.ts'

/**
 * A response of server-sent events, one JSON object each, then `[DONE]`. An object is made when the client has taken the last
 * one, so that a slow client slows its own text only; one that leaves ends it. An error on the way is an event of its own.
 */
export function eventStream(
  objects: AsyncGenerator<object, void, undefined>,
  onEnd: (error?: unknown) => void,
): Response {
  const encoder = new TextEncoder()
  const line = (data: string): Uint8Array => encoder.encode(`data: ${data}\n\n`)
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { value, done } = await objects.next()
          if (!done) return controller.enqueue(line(JSON.stringify(value)))
          controller.enqueue(line('[DONE]'))
          onEnd()
        } catch (error) {
          const shown = error instanceof RequestError ? error : new RequestError(500, 'the server failed to answer.')
          controller.enqueue(line(JSON.stringify(shown)))
          onEnd(error)
        }
        controller.close()
      },
      async cancel() {
        onEnd(new RequestError(499, 'the client left.'))
        await objects.return()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    },
  })
}
