import type { Direction, Encoding, PadToken } from './encoding.ts'
import { checkOptions, HeedError, invalidArgument } from './errors.ts'

export interface Truncation {
  /** Most tokens in the result, special tokens included. */
  readonly maxLength: number
  /** How many tokens of a window the next one repeats. Default 0. */
  readonly stride?: number
  /** Which text of a pair gives tokens away. Default longestFirst. */
  readonly strategy?: 'longestFirst' | 'onlyFirst' | 'onlySecond'
  /** The end at which tokens are cut off. Default that of the tokenizer's files, else right. */
  readonly direction?: Direction
}

export interface Padding extends Partial<PadToken> {
  /** Number of tokens to fill up to; default that of the longest of the batch. */
  readonly length?: number
  /** The end at which pad tokens stand. Default that of the tokenizer's files, else right. */
  readonly direction?: Direction
  /** Rounds the length up, for hardware that likes round numbers. */
  readonly padToMultipleOf?: number | null
}

function checkCount(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 0) return
  throw invalidArgument(`encode: ${name}`, value, 'an integer from 0 on', 'Correct the option.')
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return
  throw invalidArgument(`encode: ${name}`, value, `one of ${choices.join(', ')}`, 'Correct the option.')
}

/** What an option given as an object is; another value would be taken for an empty one. */
function checkObject(name: string, value: unknown): void {
  if (typeof value === 'object') return
  throw invalidArgument(`encode: ${name}`, value, 'an object, true or false', 'Correct the option.')
}

const truncationNames = { maxLength: true, stride: true, strategy: true, direction: true } as const
const paddingNames = {
  length: true,
  direction: true,
  padToMultipleOf: true,
  padToken: true,
  padId: true,
  padTypeId: true,
} as const

const sides = ['left', 'right']
const strategies = ['longestFirst', 'onlyFirst', 'onlySecond']

/** Throws HEED_ARGUMENT_INVALID. */
export function checkTruncation(truncation: Truncation): void {
  checkObject('truncation', truncation)
  checkOptions('encode: truncation', truncation, truncationNames satisfies Record<keyof Truncation, true>)
  const { maxLength, stride = 0, strategy = 'longestFirst', direction = 'right' } = truncation
  checkCount('truncation.maxLength', maxLength)
  checkCount('truncation.stride', stride)
  checkChoice('truncation.strategy', strategy, strategies)
  checkChoice('truncation.direction', direction, sides)
}

/**
 * Cuts one or two encodings down so that they and `addedTokens` special tokens fit.
 * Same rules as `truncate_encodings` of HF tokenizers. Throws HEED_ARGUMENT_INVALID.
 */
export function truncateEncodings(
  encodings: readonly Encoding[],
  truncation: Truncation,
  addedTokens: number,
): readonly Encoding[] {
  checkTruncation(truncation)
  const { stride = 0, strategy = 'longestFirst', direction = 'right' } = truncation
  const room = truncation.maxLength - addedTokens
  if (room < 0) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `encode: truncation.maxLength is ${truncation.maxLength}, expected at least the ${addedTokens} special tokens. ` +
        'Raise maxLength or set addSpecialTokens to false.',
    )
  }
  const [first, second] = encodings
  const total = encodings.reduce((sum, encoding) => sum + encoding.length, 0)
  if (!first || total <= room) return encodings
  if (room === 0) return encodings.map(encoding => encoding.truncate(0, stride, direction))
  if (strategy === 'longestFirst') {
    if (!second) return [first.truncate(room, stride, direction)]
    const { maxLength } = truncation
    const [firstRoom, secondRoom] = shareRoom(
      first.countUpTo(maxLength, direction),
      second.countUpTo(maxLength, direction),
      room,
    )
    return [first.truncate(firstRoom, stride, direction), second.truncate(secondRoom, stride, direction)]
  }
  const target = strategy === 'onlyFirst' ? first : second
  if (!target) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      'encode: truncation.strategy is onlySecond, expected a pair of texts. Pass pair, or use another strategy.',
    )
  }
  const targetRoom = target.length - (total - room)
  if (targetRoom <= 0) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `encode: truncation.maxLength is ${truncation.maxLength}, expected room for the other text, ` +
        `which alone has ${total - target.length} tokens. Raise maxLength or use longestFirst.`,
    )
  }
  return encodings.map(encoding => (encoding === target ? encoding.truncate(targetRoom, stride, direction) : encoding))
}

/** How many tokens each of two texts keeps: the shorter all if it can, else half each. */
function shareRoom(first: number, second: number, room: number): [number, number] {
  const shorter = Math.min(first, second)
  let small = shorter
  let large = shorter > room ? shorter : Math.max(shorter, room - shorter)
  if (small + large > room) {
    small = Math.floor(room / 2)
    large = small + (room % 2)
  }
  return first > second ? [large, small] : [small, large]
}

/** Throws HEED_ARGUMENT_INVALID. */
export function checkPadding(padding: Padding): void {
  checkObject('padding', padding)
  checkOptions('encode: padding', padding, paddingNames satisfies Record<keyof Padding, true>)
  const { length = 0, direction = 'right', padToMultipleOf, padId = 0, padTypeId = 0 } = padding
  checkCount('padding.length', length)
  checkCount('padding.padToMultipleOf', padToMultipleOf ?? 0)
  checkCount('padding.padId', padId)
  checkCount('padding.padTypeId', padTypeId)
  checkChoice('padding.direction', direction, sides)
}

/** Brings encodings to one length. */
export function padEncodings(encodings: readonly Encoding[], padding: Padding, padToken: PadToken): Encoding[] {
  const { direction = 'right', padToMultipleOf } = padding
  let length = padding.length ?? encodings.reduce((longest, encoding) => Math.max(longest, encoding.length), 0)
  if (padToMultipleOf) length = Math.ceil(length / padToMultipleOf) * padToMultipleOf
  return encodings.map(encoding => encoding.pad(length, padToken, direction))
}
