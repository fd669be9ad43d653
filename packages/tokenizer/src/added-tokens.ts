import { NormalizedText } from './normalized-text.ts'
import { PreTokenizedText, Segment } from './pre-tokenized-text.ts'
import { TokenMatcher } from './token-matcher.ts'

/** A token that is found in the text before the model sees it. */
export interface AddedToken {
  readonly content: string
  /** Matches only where no letter or digit touches it. Default false. */
  readonly singleWord?: boolean
  /** Takes the whitespace on its left along. Default false. */
  readonly lstrip?: boolean
  /** Takes the whitespace on its right along. Default false. */
  readonly rstrip?: boolean
  /** Looked for in the normalized text, in its own normalized form. Default: the opposite of `special`. */
  readonly normalized?: boolean
  /** Left out by decode with skipSpecialTokens. Default false. */
  readonly special?: boolean
}

export type CompleteAddedToken = Required<AddedToken>
export type Normalize = (text: NormalizedText) => NormalizedText

interface BaseVocabulary {
  readonly size: number
  idOf(token: string): number | undefined
}

function complete(token: AddedToken): CompleteAddedToken {
  const special = token.special ?? false
  return {
    content: token.content,
    singleWord: token.singleWord ?? false,
    lstrip: token.lstrip ?? false,
    rstrip: token.rstrip ?? false,
    normalized: token.normalized ?? !special,
    special,
  }
}

function isEqual(a: CompleteAddedToken, b: CompleteAddedToken): boolean {
  return (
    a.singleWord === b.singleWord &&
    a.lstrip === b.lstrip &&
    a.rstrip === b.rstrip &&
    a.normalized === b.normalized &&
    a.special === b.special
  )
}

/** Whether two tokens have the same text and are matched alike. */
export function isSameToken(a: AddedToken, b: AddedToken): boolean {
  return a.content === b.content && isEqual(complete(a), complete(b))
}

/** The tokens added to a model's own, special ones among them. Same matches as `AddedVocabulary` of HF tokenizers. */
export class AddedTokens {
  private readonly idByContent = new Map<string, number>()
  private readonly tokenById = new Map<number, CompleteAddedToken>()
  /** The normalized form of tokens that have another one: what is matched, and what a decoder turns back. */
  private readonly normalizedForms = new Map<number, string>()
  private readonly specialContents = new Set<string>()
  private rawMatcher = new TokenMatcher<number>([])
  private normalizedMatcher = new TokenMatcher<number>([])

  get size(): number {
    return this.idByContent.size
  }

  idOf(content: string): number | undefined {
    return this.idByContent.get(content)
  }

  /** The text a decoder gets for an id. */
  decodedForm(id: number): string | undefined {
    return this.normalizedForms.get(id) ?? this.tokenById.get(id)?.content
  }

  isSpecial(content: string): boolean {
    return this.specialContents.has(content)
  }

  /** Ids and tokens, by ascending id. */
  entries(): [number, CompleteAddedToken][] {
    return [...this.tokenById].sort(([a], [b]) => a - b)
  }

  /** Adds tokens, new ones with the ids after the last; returns how many were new or changed. */
  add(tokens: Iterable<AddedToken>, vocabulary: BaseVocabulary, normalize: Normalize): number {
    let nextId = vocabulary.size
    for (const id of this.tokenById.keys()) nextId = Math.max(nextId, id + 1)
    let added = 0
    for (const given of tokens) {
      const token = complete(given)
      if (token.content === '') continue
      const known = this.idByContent.get(token.content)
      if (known !== undefined && isEqual(this.tokenById.get(known)!, token)) continue
      const id = known ?? vocabulary.idOf(token.content) ?? nextId++
      if (token.normalized) {
        const form = normalize(NormalizedText.of(token.content)).text
        if (form !== token.content) this.normalizedForms.set(id, form)
      }
      this.idByContent.set(token.content, id)
      if (token.special) this.specialContents.add(token.content)
      this.tokenById.set(id, token)
      added++
    }
    if (added > 0) this.compileMatchers()
    return added
  }

  /** Whether none of the tokens is in a text, however it is normalized; false where that cannot be told beforehand. */
  areAbsentFrom(text: string): boolean {
    return this.normalizedMatcher.isEmpty && !this.rawMatcher.next(text, 0)
  }

  /**
   * Finds the tokens not to be normalized in `text`, normalizes what lies between, and finds the others there.
   * `matchesSpecial` false takes special tokens as ordinary text.
   */
  extract(text: string, normalize: Normalize, matchesSpecial: boolean): PreTokenizedText {
    const segments: Segment[] = []
    for (const raw of this.cut(NormalizedText.of(text), this.rawMatcher, matchesSpecial)) {
      if (raw.addedToken !== undefined) segments.push(raw)
      else segments.push(...this.cut(normalize(raw.source), this.normalizedMatcher, matchesSpecial))
    }
    return new PreTokenizedText(segments)
  }

  private cut(source: NormalizedText, matcher: TokenMatcher<number>, matchesSpecial: boolean): Segment[] {
    const { text } = source
    if (text === '') return []
    let match = matcher.next(text, 0)
    if (!match) return [Segment.whole(source)]
    const segments: Segment[] = []
    const push = (start: number, end: number, addedToken?: number) => {
      if (start < end) segments.push(Segment.whole(source.slice(start, end), addedToken))
    }
    let last = 0
    for (; match; match = matcher.next(text, match.end)) {
      const token = this.tokenById.get(match.value)!
      if (!matchesSpecial && token.special) continue
      if (token.singleWord && (isWordBefore(text, match.start) || isWordAfter(text, match.end))) continue
      const start = token.lstrip ? Math.max(last, match.start - spaceBefore(text, match.start)) : match.start
      const end = token.rstrip ? match.end + spaceAfter(text, match.end) : match.end
      push(last, start)
      push(start, end, match.value)
      last = end
    }
    push(last, text.length)
    return segments
  }

  private compileMatchers(): void {
    const raw: [string, number][] = []
    const normalized: [string, number][] = []
    for (const [id, token] of this.tokenById) {
      if (token.normalized) normalized.push([this.decodedForm(id)!, id])
      else raw.push([token.content, id])
    }
    this.rawMatcher = new TokenMatcher(raw)
    this.normalizedMatcher = new TokenMatcher(normalized)
  }
}

const wordBefore = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u
const wordAfter = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u
const space = /\p{White_Space}/u

// A code point is at most two units, so two units of context decide.
function isWordBefore(text: string, index: number): boolean {
  return wordBefore.test(text.slice(Math.max(0, index - 2), index))
}

function isWordAfter(text: string, index: number): boolean {
  return wordAfter.test(text.slice(index, index + 2))
}

function spaceBefore(text: string, index: number): number {
  let start = index
  while (start > 0 && space.test(text[start - 1]!)) start--
  return index - start
}

function spaceAfter(text: string, index: number): number {
  let end = index
  while (end < text.length && space.test(text[end]!)) end++
  return end - index
}
