import { tf } from '@heed/tensor-backend'
import type { Encoding, Tokenizer } from '@heed/tokenizer'
import type { QuestionAnswerer } from '../auto.ts'
import { invalidArgument } from '../invalid-argument.ts'
import { count, countOrNone, type Rule, type Rules } from './options.ts'
import { inBatches, longestInput, probabilities, type TextBatch, type TextModel } from './text-batch.ts'

export interface Question {
  question: string
  context: string
}

export const questionRule: Rule = {
  text: 'an object with the texts question and context, neither of them empty',
  holds: value => {
    const { question, context } = (value ?? {}) as Partial<Record<string, unknown>>
    return typeof question === 'string' && question !== '' && typeof context === 'string' && context !== ''
  },
}

export interface Answer {
  /** Probability of its first token times that of its last. */
  score: number
  /** Where it stands in the context, in UTF-16 units. */
  start: number
  end: number
  answer: string
}

export interface QuestionAnsweringOptions {
  /** Most tokens of an answer; 15 by default. */
  maxAnswerLen?: number
  /** Most tokens of a question with a window of its context; 384 by default, and no more than the model takes. */
  maxSeqLen?: number
  /** How many tokens of the context a window repeats of the one before; 128 by default, and no more than half of `maxSeqLen`. */
  docStride?: number
}

export const questionAnsweringOptions: Rules<QuestionAnsweringOptions> = {
  maxAnswerLen: count,
  maxSeqLen: count,
  docStride: countOrNone,
}

/**
 * The likeliest stretch of the context that answers each question. A context longer than the model takes is read in windows,
 * each with its own probabilities, as in HF. Throws HEED_ARGUMENT_INVALID.
 */
export async function answerQuestions(
  { model, tokenizer }: TextModel<QuestionAnswerer>,
  questions: readonly Question[],
  { maxAnswerLen = 15, maxSeqLen = 384, docStride }: QuestionAnsweringOptions = {},
): Promise<Answer[]> {
  const maxLength = Math.min(maxSeqLen, longestInput({ model, tokenizer }) ?? maxSeqLen)
  const windows = questions.map(question => windowsOf(tokenizer, question, maxLength, docStride))
  const spanOf = (batch: TextBatch): Promise<Span[]> => bestSpans(model, batch, maxAnswerLen)
  const spans = (await inBatches({ model, tokenizer }, windows.flat(), questions.length, spanOf)).values()
  return questions.map(({ context }, i) => {
    const answers = windows[i]!.map(() => spans.next().value!)
    const { start, end, score } = answers.reduce((best, span) => (span.score > best.score ? span : best))
    return { score, start, end, answer: context.slice(start, end) }
  })
}

/** The question with each window of its context. */
function windowsOf(tokenizer: Tokenizer, asked: Question, maxLength: number, docStride?: number): Encoding[] {
  const { question, context } = asked
  const length = tokenizer.encode(question, { addSpecialTokens: false, truncation: false, padding: false }).length
  const room = maxLength - length - (tokenizer.postProcessor?.addedTokens(true) ?? 0)
  if (room < 1) {
    const rule = `at most ${Math.max(0, length + room - 1)}, so that there is room for the context`
    throw invalidArgument(
      'question-answering',
      'the number of tokens of a question',
      length,
      rule,
      'Shorten it, or raise maxSeqLen.',
    )
  }
  if (docStride !== undefined && docStride >= room) {
    const rule = `less than the ${room} tokens that the question leaves for the context`
    throw invalidArgument('question-answering', 'docStride', docStride, rule, 'Lower it, or raise maxSeqLen.')
  }
  const stride = docStride ?? Math.min(Math.floor(maxLength / 2), 128, Math.floor(room / 2))
  const truncation = { maxLength, stride, strategy: 'onlySecond' } as const
  const first = tokenizer.encode(question, { pair: context, truncation, padding: false })
  if (first.sequenceIds.includes(1)) return [first, ...first.overflowing]
  throw invalidArgument('question-answering', 'context', context, 'a text with a token', 'Give the text to look in.')
}

/** Where in the context an answer stands. */
type Span = Pick<Answer, 'score' | 'start' | 'end'>

async function bestSpans(
  model: QuestionAnswerer,
  { encodings, inputs }: TextBatch,
  maxLength: number,
): Promise<Span[]> {
  const [starts, ends] = tf.tidy(() => {
    const { startLogits, endLogits } = model.forward(inputs)
    return [startLogits, endLogits] as const
  })
  const rows = (await Promise.all([starts.array(), ends.array()])) as [number[][], number[][]]
  tf.dispose([starts, ends])
  return encodings.map(({ sequenceIds, offsets }, i) => {
    const within = (logits: number[]): number[] =>
      probabilities(logits.map((logit, j) => (sequenceIds[j] === 1 ? logit : Number.NEGATIVE_INFINITY)))
    const [first, last, score] = bestSpan(within(rows[0][i]!), within(rows[1][i]!), maxLength)
    return { score, start: offsets[first]![0], end: offsets[last]![1] }
  })
}

function bestSpan(starts: readonly number[], ends: readonly number[], maxLength: number): [number, number, number] {
  let best: [first: number, last: number, score: number] = [0, 0, -1]
  for (let first = 0; first < starts.length; first++) {
    for (let last = first; last < Math.min(first + maxLength, ends.length); last++) {
      const score = starts[first]! * ends[last]!
      if (score > best[2]) best = [first, last, score]
    }
  }
  return best
}
