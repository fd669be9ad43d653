import { tf } from '@heed/tensor-backend'
import { BpeModel, type Encoding, type Tokenizer, WordPieceModel } from '@heed/tokenizer'
import type { TokenClassifier } from '../auto.ts'
import { invalidArgument } from '../invalid-argument.ts'
import { countOrNone, oneOf, type Rules, texts } from './options.ts'
import { inBatches, longestInput, probabilities, type TextBatch, type TextModel } from './text-batch.ts'

export interface TokenClassificationOptions {
  /**
   * `none`: every token; `simple`: neighbours of one kind together; `first`, `average`, `max`: words whole, by their first token,
   * the mean of their tokens, or the surest one. `none` by default.
   */
  aggregationStrategy?: 'none' | 'simple' | 'first' | 'average' | 'max'
  /** Labels to leave out; `O` by default. */
  ignoreLabels?: readonly string[]
  /**
   * Reads all of a text that is longer than the model takes, in windows that repeat so many tokens of the one before, as in HF; it
   * needs an aggregation. Without it such a text is cut.
   */
  stride?: number
}

const strategies = ['none', 'simple', 'first', 'average', 'max'] as const

export const tokenClassificationOptions: Rules<TokenClassificationOptions> = {
  aggregationStrategy: oneOf(...strategies),
  ignoreLabels: texts,
  stride: countOrNone,
}

/** A token or a word with its label. */
export interface TokenLabel {
  entity: string
  score: number
  /** Index among the tokens; only without aggregation. */
  index?: number
  word: string
  /** Where it stands in the text, in UTF-16 units. */
  start: number
  end: number
}

/** Neighbouring words of one kind. */
export interface EntityGroup {
  entityGroup: string
  score: number
  word: string
  start: number
  end: number
}

interface Piece {
  word: string
  scores: number[]
  start: number
  end: number
  index: number
  /** Whether it goes on the word of the piece before. */
  isSubword: boolean
}

/** Labels the tokens of texts. Throws HEED_ARGUMENT_INVALID. */
export async function classifyTokens(
  { model, tokenizer }: TextModel<TokenClassifier>,
  inputs: readonly string[],
  { aggregationStrategy = 'none', ignoreLabels = ['O'], stride }: TokenClassificationOptions = {},
): Promise<(TokenLabel | EntityGroup)[][]> {
  if (stride !== undefined && aggregationStrategy === 'none') {
    const mend = 'Choose one, or leave stride out.'
    throw invalidArgument(
      'token-classification',
      'stride',
      stride,
      'an aggregationStrategy other than none with it',
      mend,
    )
  }
  const { labels } = model.config as unknown as { labels: readonly string[] }
  const windows = inputs.map(text => windowsOf({ model, tokenizer }, text, stride))
  const scoresOf = (batch: TextBatch): Promise<number[][][]> => tokenScores(model, batch)
  const rows = (await inBatches({ model, tokenizer }, windows.flat(), inputs.length, scoresOf)).values()
  return inputs.map((text, i) => {
    const found = windows[i]!.map(window => {
      const pieces = piecesOf(tokenizer, text, window, rows.next().value!)
      if (aggregationStrategy === 'none') {
        const entities = pieces.map(piece => ({ ...labelled(piece, labels), index: piece.index }))
        return entities.filter(({ entity }) => !ignoreLabels.includes(entity))
      }
      const words =
        aggregationStrategy === 'simple'
          ? pieces.map(piece => labelled(piece, labels))
          : wordsOf(pieces).map(word => labelled(wholeWord(tokenizer, word, aggregationStrategy), labels))
      return groupsOf(tokenizer, words).filter(({ entityGroup }) => !ignoreLabels.includes(entityGroup))
    })
    return found.length > 1 ? withoutOverlaps(found.flat() as EntityGroup[]) : found[0]!
  })
}

/** The text, cut to what the model takes; with a stride, in windows. */
function windowsOf({ model, tokenizer }: TextModel, text: string, stride: number | undefined): Encoding[] {
  const maxLength = longestInput({ model, tokenizer })
  const truncation = maxLength === undefined ? false : { maxLength, stride: stride ?? 0 }
  const first = tokenizer.encode(text, { truncation, padding: false })
  return stride === undefined ? [first] : [first, ...first.overflowing]
}

/** Probabilities of the labels, for each token of each encoding. */
async function tokenScores(model: TokenClassifier, { encodings, inputs }: TextBatch): Promise<number[][][]> {
  const logits = tf.tidy(() => model.forward(inputs).logits) // [batch, seqLen, numLabels]
  const values = await logits.data()
  const [, seqLen, numLabels] = logits.shape as [number, number, number]
  logits.dispose()
  return encodings.map((encoding, i) =>
    encoding.ids.map((_, j) => {
      const start = (i * seqLen + j) * numLabels
      return probabilities(values.slice(start, start + numLabels))
    }),
  )
}

/** Of groups that windows share, the longest, or of equal ones the surest. */
function withoutOverlaps(groups: readonly EntityGroup[]): EntityGroup[] {
  const kept: EntityGroup[] = []
  for (const group of groups.toSorted((a, b) => a.start - b.start)) {
    const last = kept.at(-1)
    if (!last || group.start >= last.end) kept.push(group)
    else {
      const longer = group.end - group.start - (last.end - last.start)
      if (longer > 0 || (longer === 0 && group.score > last.score)) kept[kept.length - 1] = group
    }
  }
  return kept
}

function piecesOf(tokenizer: Tokenizer, text: string, encoding: Encoding, rows: number[][]): Piece[] {
  const unknown = tokenizer.specialTokenId('unk_token')
  const marks = marksSubwords(tokenizer)
  const pieces: Piece[] = []
  for (const [index, scores] of rows.slice(0, encoding.length).entries()) {
    if (encoding.specialTokensMask[index]) continue
    const [start, end] = encoding.offsets[index]!
    const source = text.slice(start, end)
    const isUnknown = encoding.ids[index] === unknown
    const word = isUnknown ? source : encoding.tokens[index]!
    // A token longer than what it stands for has the mark of a continued word, as `##` of WordPiece. Other models have no
    // such mark: there a word goes on where no space is, as in HF.
    const goesOn = marks ? word.length !== source.length : start > 0 && !text.slice(start - 1, start + 1).includes(' ')
    pieces.push({ word, scores, start, end, index, isSubword: !isUnknown && goesOn })
  }
  return pieces
}

/** Whether tokens inside a word begin with a mark. */
function marksSubwords({ model }: Tokenizer): boolean {
  return (model instanceof WordPieceModel || model instanceof BpeModel) && !!model.options.continuingSubwordPrefix
}

function labelled(
  { word, scores, start, end }: Omit<Piece, 'index' | 'isSubword'>,
  labels: readonly string[],
): TokenLabel {
  const best = indexOfHighest(scores)
  return { entity: labels[best]!, score: scores[best]!, word, start, end }
}

function indexOfHighest(scores: readonly number[]): number {
  return scores.reduce((best, score, i) => (score > scores[best]! ? i : best), 0)
}

function wordsOf(pieces: readonly Piece[]): Piece[][] {
  const words: Piece[][] = []
  for (const piece of pieces) {
    if (piece.isSubword && words.length > 0) words.at(-1)!.push(piece)
    else words.push([piece])
  }
  return words
}

function wholeWord(tokenizer: Tokenizer, pieces: readonly Piece[], strategy: 'first' | 'average' | 'max'): Piece {
  const surest = (piece: Piece): number => Math.max(...piece.scores)
  const scores = {
    first: () => pieces[0]!.scores,
    max: () => pieces.reduce((best, piece) => (surest(piece) > surest(best) ? piece : best)).scores,
    average: () =>
      pieces[0]!.scores.map((_, i) => pieces.reduce((sum, piece) => sum + piece.scores[i]!, 0) / pieces.length),
  }[strategy]()
  return { ...pieces[0]!, word: joined(tokenizer, pieces), scores, end: pieces.at(-1)!.end }
}

function joined(tokenizer: Tokenizer, parts: readonly { word: string }[]): string {
  const words = parts.map(({ word }) => word)
  return tokenizer.decoder ? tokenizer.decoder.decodeChain(words).join('') : words.join(' ')
}

/** `B-PER` begins a person, `I-PER` goes on with one; other labels go on with themselves. */
function tagOf(entity: string): { begins: boolean; tag: string } {
  const prefix = entity.slice(0, 2)
  const hasPrefix = prefix === 'B-' || prefix === 'I-'
  return { begins: prefix === 'B-', tag: hasPrefix ? entity.slice(2) : entity }
}

function groupsOf(tokenizer: Tokenizer, words: readonly TokenLabel[]): EntityGroup[] {
  const groups: TokenLabel[][] = []
  for (const word of words) {
    const { begins, tag } = tagOf(word.entity)
    const last = groups.at(-1)
    if (last && !begins && tagOf(last.at(-1)!.entity).tag === tag) last.push(word)
    else groups.push([word])
  }
  return groups.map(group => ({
    entityGroup: tagOf(group[0]!.entity).tag,
    score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
    word: joined(tokenizer, group),
    start: group[0]!.start,
    end: group.at(-1)!.end,
  }))
}
