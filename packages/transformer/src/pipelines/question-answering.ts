import { tf } from '@heed/tensor-backend'
import type { Encoding, Tokenizer } from '@heed/tokenizer'
import type { QuestionAnswerer } from '../auto.ts'
import { invalidArgument } from '../invalid-argument.ts'
import { count, countOrNone, flag, type Rule, type Rules } from './options.ts'
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
  /** Probability of its first token times that of its last; the sum of these where the same words are found in several places. */
  score: number
  /** Where it stands in the context, in UTF-16 units; both 0, and no text, where the context holds no answer. */
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
  /** How many answers are given, the likeliest first, as a list if there are several; 1 by default. */
  topK?: number
  /** Whether an answer is widened to whole words; true by default. Set it to false for languages without spaces. */
  alignToWords?: boolean
  /** Whether there may be no answer, for models trained on such questions; false by default. */
  handleImpossibleAnswer?: boolean
}

export const questionAnsweringOptions: Rules<QuestionAnsweringOptions> = {
  maxAnswerLen: count,
  maxSeqLen: count,
  docStride: countOrNone,
  topK: count,
  alignToWords: flag,
  handleImpossibleAnswer: flag,
}

/**
 * The likeliest stretches of the context that answer each question; same scores as transformers 4, whose task this was. A context
 * longer than the model takes is read in windows, each with its own probabilities. Throws HEED_ARGUMENT_INVALID.
 */
export async function answerQuestions(
  { model, tokenizer }: TextModel<QuestionAnswerer>,
  questions: readonly Question[],
  options: QuestionAnsweringOptions = {},
): Promise<(Answer | Answer[])[]> {
  const { maxAnswerLen = 15, maxSeqLen = 384, docStride, topK = 1, alignToWords = true } = options
  const maxLength = Math.min(maxSeqLen, longestInput({ model, tokenizer }) ?? maxSeqLen)
  const windows = questions.map(question => windowsOf(tokenizer, question, maxLength, docStride))
  const most = alignToWords ? 2 * topK + 10 : topK // as HF: several may become one as whole words
  const cls = tokenizer.specialTokenId('cls_token')
  const spansOf = (batch: TextBatch): Promise<WindowSpans[]> =>
    likeliestSpans(model, batch, { maxAnswerLen, most, cls })
  const found = (await inBatches({ model, tokenizer }, windows.flat(), questions.length, spansOf)).values()
  return questions.map(({ context }, i) => {
    const answers: Answer[] = []
    let noAnswer = Number.POSITIVE_INFINITY
    for (const window of windows[i]!) {
      const { spans, noAnswerScore } = found.next().value!
      noAnswer = Math.min(noAnswer, noAnswerScore)
      for (const { first, last, score } of spans) {
        const [start, end] = charsOf(window, first, last, alignToWords)
        const answer = context.slice(start, end)
        const same = answers.find(other => other.answer.toLowerCase() === answer.toLowerCase())
        if (same) same.score += score
        else answers.push({ score, start, end, answer })
      }
    }
    if (options.handleImpossibleAnswer) answers.push({ score: noAnswer, start: 0, end: 0, answer: '' })
    const best = answers.sort((a, b) => b.score - a.score).slice(0, topK)
    return best.length === 1 ? best[0]! : best
  })
}

/** Where tokens first to last stand in the context. */
function charsOf(window: Encoding, first: number, last: number, alignToWords: boolean): [start: number, end: number] {
  const [firstWord, lastWord] = [window.wordIds[first], window.wordIds[last]]
  if (alignToWords && typeof firstWord === 'number' && typeof lastWord === 'number') {
    return [window.wordToChars(firstWord, 1)![0], window.wordToChars(lastWord, 1)![1]]
  }
  return [window.offsets[first]![0], window.offsets[last]![1]]
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

/** Tokens `first` to `last`, as an answer. */
interface Span {
  first: number
  last: number
  score: number
}

interface WindowSpans {
  /** The likeliest first. */
  spans: Span[]
  /** Probability that the window holds no answer, as its first token says. */
  noAnswerScore: number
}

async function likeliestSpans(
  model: QuestionAnswerer,
  { encodings, inputs }: TextBatch,
  { maxAnswerLen, most, cls }: { maxAnswerLen: number; most: number; cls: number | undefined },
): Promise<WindowSpans[]> {
  const [starts, ends] = tf.tidy(() => {
    const { startLogits, endLogits } = model.forward(inputs)
    return [startLogits, endLogits] as const
  })
  const rows = (await Promise.all([starts.array(), ends.array()])) as [number[][], number[][]]
  tf.dispose([starts, ends])
  return encodings.map(({ sequenceIds, ids }, i) => {
    // The token [CLS] stands for no answer and has its share of the probability.
    const counts = ids.map((id, j) => sequenceIds[j] === 1 || id === cls)
    const within = (logits: number[]): number[] =>
      probabilities(logits.map((logit, j) => (counts[j] ? logit : Number.NEGATIVE_INFINITY)))
    const [start, end] = [within(rows[0][i]!), within(rows[1][i]!)]
    const spans: Span[] = []
    for (let first = 0; first < start.length; first++) {
      if (sequenceIds[first] !== 1) continue
      for (let last = first; last < first + maxAnswerLen && sequenceIds[last] === 1; last++) {
        spans.push({ first, last, score: start[first]! * end[last]! })
      }
    }
    spans.sort((a, b) => b.score - a.score)
    return { spans: spans.slice(0, most), noAnswerScore: start[0]! * end[0]! }
  })
}
