import { Random } from '@heed/layers'
import { Turns } from '@heed/tensor-backend'
import { checkAborted } from './aborted.ts'
import { invalid } from './conflicts.ts'
import type { Decoding } from './decoding.ts'
import { isForbidden, noTokenLeft } from './logits-processors.ts'
import { type GenerateOutput, StepRecord } from './output.ts'
import type { GenerateOptions, GenerationPlan } from './plan.ts'
import { logSumExp } from './sampling.ts'

/** A sequence and the sum of its tokens' log probabilities, or that sum with the length penalty once it has ended. */
interface Beam {
  ids: number[]
  score: number
  /** For each new token, the row of scores it was taken from. */
  rows: readonly number[]
}

interface Candidate extends Beam {
  /** Which running beam it goes on from. */
  parent: number
  isEnd: boolean
}

/** The beams of one prompt. */
interface Search {
  /** Best first. */
  running: Beam[]
  /** Best first, at most numBeams. */
  ended: Beam[]
  canImprove: boolean
}

/** Score of a beam that must not be taken up: far below any sum of log probabilities. */
const OUT_OF_RUNNING = -1e9

/**
 * Beam search, scored and ended as HF's: log probability / length^lengthPenalty over the generated tokens. Returns the best
 * numReturnSequences of each prompt, best first, filled up to one length. With sampling, candidates are drawn without replacement.
 * Throws HEED_ARGUMENT_INVALID where every token is forbidden, HEED_ABORTED.
 */
export async function beamSearch(
  decoding: Decoding,
  plan: GenerationPlan,
  { seed = 0, signal, ...outputs }: GenerateOptions,
): Promise<GenerateOutput> {
  const { prompts, maxLength, numBeams, earlyStopping, isComplete } = plan
  const random = plan.doSample ? new Random(seed) : undefined
  const record = new StepRecord(outputs)
  const turns = new Turns()

  checkAborted(signal)
  const first: Beam[] = prompts.map(ids => ({ ids, score: 0, rows: [] }))
  const searches = first.map((beam): Search => ({ running: [beam], ended: [], canImprove: true }))
  let rows = await decoding.step(prompts)
  for (;;) {
    const scores = scoresOf(rows, searches, plan, record)
    let offset = 0
    const parents: number[] = []
    let canGoOn = false
    for (const [prompt, search] of searches.entries()) {
      const own = scores.slice(offset, offset + search.running.length)
      const candidates = bestCandidates(search.running, own, prompt * numBeams, plan, random)
      if ([...search.ended, ...candidates].every(({ score }) => isForbidden(score))) {
        throw noTokenLeft(plan.forbidding, search.running[0]!.ids.length)
      }
      for (const candidate of candidates) {
        candidate.isEnd = candidate.ids.length >= maxLength || isComplete(candidate.ids)
      }
      canGoOn ||= candidates.some(candidate => !candidate.isEnd)
      collectEnded(search, candidates.slice(0, numBeams), plan)
      const next = candidates
        .map(candidate => (candidate.isEnd ? { ...candidate, score: candidate.score + OUT_OF_RUNNING } : candidate))
        .sort((a, b) => b.score - a.score)
        .slice(0, numBeams)
      parents.push(...next.map(({ parent }) => offset + parent))
      offset += search.running.length
      search.running = next
      search.canImprove &&= mayImprove(search, plan)
    }
    const isFull = searches.every(({ ended }) => ended.length === numBeams)
    if (!canGoOn || (isFull && earlyStopping === true) || !searches.some(({ canImprove }) => canImprove)) break
    checkAborted(signal)
    await turns.next()
    decoding.reorder(parents)
    rows = await decoding.step(searches.flatMap(({ running }) => running.map(({ ids }) => [ids.at(-1)!])))
  }
  return { ...best(searches, plan), ...record.outputs }
}

/** Log probabilities of each beam's next token, as processors leave them, recorded as HF does: numBeams rows from the first step on. */
function scoresOf(
  rows: Float32Array[],
  searches: readonly Search[],
  { numBeams, processors }: GenerationPlan,
  record: StepRecord,
): Float32Array[] {
  const repeat = searches[0]!.running.length === 1 ? numBeams : 1
  const all = (list: readonly Float32Array[]): Float32Array[] =>
    list.flatMap(row => Array<Float32Array>(repeat).fill(row))
  record.addLogits(all(rows))
  const beams = searches.flatMap(({ running }, prompt) => running.map(({ ids }) => ({ ids, prompt })))
  const scores = beams.map(({ ids, prompt }, i) => {
    const row = logSoftmax(rows[i]!)
    for (const process of processors) process(row, ids, prompt)
    return row
  })
  record.addScores(all(scores))
  return scores
}

/**
 * The likeliest continuations, more than numBeams so that enough are left when some end, best first or in the order drawn.
 * scores: a row for each running beam, the first of which is row `offset` of all.
 */
function bestCandidates(
  running: readonly Beam[],
  scores: readonly Float32Array[],
  offset: number,
  { numBeams, eosTokenIds }: GenerationPlan,
  random: Random | undefined,
): Candidate[] {
  const count = Math.max(2, 1 + eosTokenIds.length) * numBeams
  const top: { key: number; score: number; parent: number; id: number }[] = [] // highest key first
  for (const [parent, beam] of running.entries()) {
    const row = scores[parent]!
    for (let id = 0; id < row.length; id++) {
      const score = beam.score + row[id]!
      // The highest sums of log probability and Gumbel noise are a draw without replacement (Vieira 2014).
      const key = random ? score - Math.log(-Math.log(random.uniform() || Number.MIN_VALUE)) : score
      if (top.length === count && key <= top[count - 1]!.key) continue
      if (top.length === count) top.pop()
      const place = top.findIndex(other => other.key < key)
      top.splice(place < 0 ? top.length : place, 0, { key, score, parent, id })
    }
  }
  return top.map(({ score, parent, id }) => ({
    ids: [...running[parent]!.ids, id],
    rows: [...running[parent]!.rows, offset + parent],
    score,
    parent,
    isEnd: false,
  }))
}

/** Takes up the candidates that may end here, while they can still change the outcome. */
function collectEnded(search: Search, candidates: readonly Candidate[], plan: GenerationPlan): void {
  const { numBeams, earlyStopping, lengthPenalty } = plan
  if (!search.canImprove || (earlyStopping === true && search.ended.length === numBeams)) return
  for (const { ids, rows, score, isEnd } of candidates) {
    if (isEnd && !isForbidden(score)) search.ended.push({ ids, rows, score: score / rows.length ** lengthPenalty })
  }
  search.ended.sort((a, b) => b.score - a.score)
  search.ended.length = Math.min(search.ended.length, numBeams)
}

/** Whether the best running beam could, at the length HF supposes, still beat the worst that has ended. */
function mayImprove({ running, ended }: Search, plan: GenerationPlan): boolean {
  const { numBeams, earlyStopping, lengthPenalty, maxLength, prompts } = plan
  if (ended.length < numBeams) return true
  const endLength = earlyStopping === 'never' && lengthPenalty > 0 ? maxLength : running[0]!.ids.length
  return running[0]!.score / (endLength - prompts[0]!.length) ** lengthPenalty > ended.at(-1)!.score
}

function best(
  searches: readonly Search[],
  { numReturnSequences, eosTokenIds, padTokenId }: GenerationPlan,
): Required<Pick<GenerateOutput, 'sequences' | 'sequencesScores' | 'beamIndices'>> {
  const beams = searches.flatMap(({ ended }) => ended.slice(0, numReturnSequences))
  const possible = Math.min(...searches.map(({ ended }) => ended.length))
  if (possible < numReturnSequences) {
    throw invalid(
      'numReturnSequences',
      numReturnSequences,
      `at most ${possible}: no more texts may come`,
      'Ask for fewer.',
    )
  }
  const length = Math.max(...beams.map(({ rows }) => rows.length))
  const fill = padTokenId || (eosTokenIds[0] ?? padTokenId) // a padding id of 0 counts as none, as in HF's beam search
  const filled = (list: readonly number[], { rows }: Beam, value: number): number[] => [
    ...list,
    ...Array<number>(length - rows.length).fill(value),
  ]
  return {
    sequences: beams.map(beam => filled(beam.ids, beam, fill)),
    sequencesScores: beams.map(({ score }) => score),
    beamIndices: beams.map(beam => filled(beam.rows, beam, -1)),
  }
}

function logSoftmax(logits: Float32Array): Float32Array {
  const shift = logSumExp(logits)
  return logits.map(logit => logit - shift)
}
