import { softmax } from './sampling.ts'

/** What a generation gives with `returnDictInGenerate`; names as in HF's `GenerateDecoderOnlyOutput` and its like. */
export interface GenerateOutput {
  /** Each prompt, or start token, with its continuation. */
  sequences: number[][]
  /** Of beams: the sum of log probabilities / length^lengthPenalty by which sequences are ordered. */
  sequencesScores?: number[]
  /** With `outputScores`: for each new token, a row of vocabSize for each sequence or beam, as processors left it. */
  scores?: Float32Array[][]
  /** With `outputLogits`: the same before the processors. */
  logits?: Float32Array[][]
  /** Of beams: for each new token of a sequence, which row of `scores` it was taken from; -1 after its end. */
  beamIndices?: number[][]
}

/** Which of the outputs are wanted. */
export interface OutputOptions {
  /** Resolve to a `GenerateOutput` instead of sequences alone. */
  returnDictInGenerate?: boolean | undefined
  outputScores?: boolean | undefined
  outputLogits?: boolean | undefined
}

/** Keeps the scores of each step for the caller who wants them. */
export class StepRecord {
  readonly #scores: Float32Array[][] | undefined
  readonly #logits: Float32Array[][] | undefined

  constructor({ outputScores = false, outputLogits = false }: OutputOptions) {
    if (outputScores) this.#scores = []
    if (outputLogits) this.#logits = []
  }

  /** Takes copies: processors change the rows. */
  addLogits(rows: readonly Float32Array[]): void {
    this.#logits?.push(rows.map(row => row.slice()))
  }

  addScores(rows: readonly Float32Array[]): void {
    this.#scores?.push(rows.map(row => row.slice()))
  }

  get keepsScores(): boolean {
    return this.#scores !== undefined
  }

  get outputs(): Pick<GenerateOutput, 'scores' | 'logits'> {
    return { ...(this.#scores && { scores: this.#scores }), ...(this.#logits && { logits: this.#logits }) }
  }
}

/**
 * The score that each generated token had, [sequences][newTokens]; log probabilities with `normalizeLogits`, or as they are of
 * beams. 0 after the end of a beam. Same numbers as HF's `compute_transition_scores`.
 */
export function computeTransitionScores(
  { sequences, scores = [], beamIndices }: GenerateOutput,
  { normalizeLogits = false }: { normalizeLogits?: boolean } = {},
): number[][] {
  const steps = beamIndices ? beamIndices[0]!.length : scores.length
  const start = sequences[0]!.length - steps // where the prompt ends
  return sequences.map((ids, i) =>
    Array.from({ length: steps }, (_, step) => {
      const index = beamIndices ? beamIndices[i]![step]! : i
      if (index < 0) return 0
      const row = scores[step]![index]!
      const id = ids[start + step]!
      return normalizeLogits ? Math.log(softmax(row)[id]!) : row[id]!
    }),
  )
}
