/**
 * Assisted, or speculative, decoding: a cheap drafter guesses several tokens, the model computes them in one pass, and those that
 * it would have chosen itself are kept. Leviathan et al. 2023 (arXiv:2211.17192); with HF's settings. Every token is chosen by
 * the model's own scores, with the same draws, so that the text is the same as without a drafter.
 */
import { Random } from '@heed/layers'
import { Turns } from '@heed/tensor-backend'
import { checkAborted } from './aborted.ts'
import type { Decoding } from './decoding.ts'
import { type GenerateOutput, StepRecord } from './output.ts'
import type { GenerateOptions, GenerationPlan } from './plan.ts'
import { argmax, sample, softmax } from './sampling.ts'

/** Guesses how a sequence goes on. */
export interface Drafter {
  /** At most `most` tokens that may follow `ids`. */
  draft(ids: readonly number[], most: number): Promise<number[]>
  /** Told how many of the tokens drafted last were right. */
  learn(numRight: number, numDrafted: number): void
  dispose(): void
}

/** Goes on as the text went on where its last tokens stood before. Saxena 2023 ("Prompt Lookup Decoding"). */
export class PromptLookup implements Drafter {
  constructor(
    private readonly numTokens: number,
    private readonly maxNgramSize: number,
  ) {}

  async draft(ids: readonly number[], most: number): Promise<number[]> {
    for (let size = Math.min(this.maxNgramSize, ids.length - 1); size > 0; size--) {
      const last = ids.slice(-size)
      for (let i = 0; i + size < ids.length; i++) {
        if (!last.every((id, j) => ids[i + j] === id)) continue
        return ids.slice(i + size, i + size + Math.min(most, this.numTokens))
      }
    }
    return []
  }

  learn(): void {}

  dispose(): void {}
}

/** Goes on as a smaller model does by greedy choice, until it becomes unsure. */
export class DraftModel implements Drafter {
  readonly #read: number[] = [] // the tokens that the model has computed
  #numTokens: number

  constructor(
    private readonly decoding: Decoding,
    private readonly plan: GenerationPlan,
  ) {
    this.#numTokens = plan.settings.numAssistantTokens ?? 20
  }

  async draft(ids: readonly number[], most: number): Promise<number[]> {
    const { processors, eosTokenIds, settings } = this.plan
    const { assistantConfidenceThreshold: threshold = 0.4 } = settings
    this.#keepBeginningOf(ids)
    const sequence = [...ids]
    while (sequence.length - ids.length < Math.min(most, this.#numTokens)) {
      const fresh = sequence.slice(this.#read.length)
      const [scores] = (await this.decoding.step([fresh])) as [Float32Array]
      this.#read.push(...fresh)
      try {
        for (const process of processors) process(scores, sequence, 0)
      } catch {
        break // no token may follow this guess; where the text itself is at an end, the model's own step says so
      }
      const id = argmax(scores)
      sequence.push(id)
      if (eosTokenIds.includes(id) || softmax(scores)[id]! < threshold) break
    }
    return sequence.slice(ids.length)
  }

  learn(numRight: number, numDrafted: number): void {
    if (this.plan.settings.numAssistantTokensSchedule !== 'heuristic') return
    this.#numTokens = numRight === numDrafted ? this.#numTokens + 2 : Math.max(1, this.#numTokens - 1)
  }

  dispose(): void {
    this.decoding.dispose()
  }

  #keepBeginningOf(ids: readonly number[]): void {
    let length = 0
    while (length < Math.min(this.#read.length, ids.length - 1) && this.#read[length] === ids[length]) length += 1
    if (length < this.#read.length) this.#read.length = this.decoding.truncate(length)
  }
}

/**
 * The loop over drafts, for one sequence, greedy or sampling. Where angles of positions change with the length of the text, a
 * token has other keys alone than among drafts, so that from there on none are asked for. Throws HEED_ABORTED.
 */
export async function writeAssisted(
  decoding: Decoding,
  drafter: Drafter,
  { prompts, maxLength, doSample, processors, isComplete }: GenerationPlan,
  { seed = 0, streamer, signal, onWarning = console.warn, ...outputs }: GenerateOptions,
): Promise<GenerateOutput> {
  const random = new Random(seed)
  const record = new StepRecord(outputs)
  const turns = new Turns()
  const ids = [...prompts[0]!]
  let fresh = [...ids] // what the model has not computed
  const draftable = decoding.sameAnglesUpTo(ids.length)
  let isTold = false
  let isDone = false
  while (!isDone) {
    checkAborted(signal)
    if (ids.length >= draftable && ids.length < maxLength - 1 && !isTold) {
      isTold = true
      onWarning(
        `generate: the text has ${ids.length} tokens, beyond which the model's rope_scaling changes the angles of its positions, ` +
          'so that from here on tokens are computed one by one, without drafts. Leave assistantModel and promptLookupNumTokens ' +
          'out for texts of this length.',
      )
    }
    const most = Math.min(maxLength - 1, draftable) - ids.length
    const draft = most > 0 ? await drafter.draft(ids, most) : []
    const rows = await decoding.step([[...fresh, ...draft]], draft.length + 1)
    const start = ids.length
    for (const [i, scores] of rows.entries()) {
      record.addLogits([scores])
      for (const process of processors) process(scores, ids, 0)
      record.addScores([scores])
      const id = doSample ? sample(scores, random) : argmax(scores)
      ids.push(id)
      await streamer?.put([id])
      isDone = ids.length >= maxLength || isComplete(ids)
      if (isDone || id !== draft[i]) break
    }
    const numRead = decoding.truncate(ids.length - 1)
    drafter.learn(ids.length - 1 - start, draft.length)
    fresh = ids.slice(numRead)
    await turns.next()
  }
  await streamer?.end?.()
  return { sequences: [ids], ...record.outputs }
}
