import { nextTask } from './next-task.ts'

/** Time after which a long computation lets timers, signals and the page have a turn, in milliseconds. */
const TURN_MS = 30

/** Lets timers, signals and the page have a turn now and then during a long computation. */
export class Turns {
  #last: number = performance.now()

  async next(): Promise<void> {
    if (performance.now() - this.#last < TURN_MS) return
    await nextTask()
    this.#last = performance.now()
  }
}

/** Numbers to convert between two turns: whole blocks of every type of ggml, and some milliseconds of work at most. */
export const STRETCH: number = 2 ** 14

type Numbers = Float32Array | Uint8Array

/** Fills `out` with what `convert` makes of `stretch` numbers after the other, the first of which is the `first`-th, in turns. */
export async function convertInTurns<From extends Numbers, To extends Numbers>(
  from: From,
  out: To,
  stretch: number,
  convert: (numbers: From, first: number) => To,
): Promise<To> {
  const turns = new Turns()
  for (let first = 0, to = 0; first < from.length; first += stretch) {
    const converted = convert(from.subarray(first, first + stretch) as From, first)
    out.set(converted, to)
    to += converted.length
    await turns.next()
  }
  return out
}
