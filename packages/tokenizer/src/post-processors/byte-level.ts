import type { Encoding } from '../encoding.ts'
import { type ByteLevelOptions, byteLevelJson, completeByteLevel } from '../pre-tokenizers/byte-level.ts'
import type { PostProcessor } from './post-processor.ts'

const maySpace = /^[Ġ\p{White_Space}]|[Ġ\p{White_Space}]$/u
const leadingSpaces = /^[Ġ\p{White_Space}]+/u
const trailingSpaces = /[Ġ\p{White_Space}]+$/u

/** The spans of an encoding without the spaces that its tokens begin or end with. */
export function trimSpaces(encoding: Encoding, addPrefixSpace: boolean): number[] {
  const spans = encoding.spans.slice()
  for (const [i, token] of encoding.tokens.entries()) {
    if (!maySpace.test(token)) continue
    let leading = leadingSpaces.exec(token)?.[0].length ?? 0
    const trailing = trailingSpaces.exec(token)?.[0].length ?? 0
    const start = spans[2 * i]!
    const end = spans[2 * i + 1]!
    // A single space at the start may be the one that the pre-tokenizer put there: nothing of the text to leave out.
    const isPutIn = leading === 1 && addPrefixSpace && (i === 0 || start === 0)
    if (isPutIn) leading = 0
    const newStart = Math.min(start + leading, end)
    spans[2 * i] = newStart
    // Alone, a space that was put in has the span of the first character, which may be two units long.
    if (isPutIn && token.length === 1) spans[2 * i + 1] = newStart
    else if (trailing > 0 && end >= trailing) spans[2 * i + 1] = Math.max(end - trailing, newStart)
  }
  return spans
}

/** Leaves the spaces around words out of offsets; adds nothing. */
export class ByteLevelPostProcessor implements PostProcessor {
  readonly options: Required<ByteLevelOptions>

  constructor(options: ByteLevelOptions = {}) {
    this.options = completeByteLevel(options)
  }

  addedTokens(): number {
    return 0
  }

  process(encodings: readonly Encoding[]): readonly Encoding[] {
    const { trimOffsets, addPrefixSpace } = this.options
    return encodings.map((encoding, sequenceId) => {
      if (!trimOffsets) return encoding.with({ sequenceId })
      return encoding.with({ sequenceId, spans: part => trimSpaces(part, addPrefixSpace) })
    })
  }

  toJSON(): Record<string, unknown> {
    return byteLevelJson(this.options)
  }
}
