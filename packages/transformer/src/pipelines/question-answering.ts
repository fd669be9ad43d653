import { tf } from '@heed/tensor-backend'
import type { QuestionAnswerer } from '../auto.ts'
import { encodeTexts, probabilities, type TextModel } from './text-batch.ts'

export interface Question {
  question: string
  context: string
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
}

/** The likeliest stretch of the context that answers each question. */
export async function answerQuestions(
  { model, tokenizer }: TextModel<QuestionAnswerer>,
  questions: readonly Question[],
  { maxAnswerLen = 15 }: QuestionAnsweringOptions = {},
): Promise<Answer[]> {
  const pairs = questions.map(({ question, context }) => [question, context] as const)
  const { encodings, inputs } = encodeTexts({ model, tokenizer }, pairs)
  const [starts, ends] = tf.tidy(() => {
    const { startLogits, endLogits } = model.forward(inputs)
    return [startLogits, endLogits] as const
  })
  const rows = (await Promise.all([starts.array(), ends.array()])) as [number[][], number[][]]
  tf.dispose([starts, ends])
  return questions.map(({ context }, i) => {
    const { sequenceIds, offsets } = encodings[i]!
    const within = (logits: number[]): number[] =>
      probabilities(logits.map((logit, j) => (sequenceIds[j] === 1 ? logit : Number.NEGATIVE_INFINITY)))
    const [first, last, score] = bestSpan(within(rows[0][i]!), within(rows[1][i]!), maxAnswerLen)
    const [start, end] = [offsets[first]![0], offsets[last]![1]]
    return { score, start, end, answer: context.slice(start, end) }
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
