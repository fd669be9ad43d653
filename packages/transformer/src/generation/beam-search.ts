import { Random } from '@heed/layers'
import type { Decoding } from './decoding.ts'
import type { GenerateOptions, GenerationPlan } from './plan.ts'
import { checkAborted, Turns } from './turns.ts'

/** A sequence and the sum of its tokens' log probabilities, or that sum with the length penalty once it has ended. */
interface Beam {
  ids: number[]
  score: number
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
 * Throws HEED_ABORTED.
 */
export async function beamSearch(
  decoding: Decoding,
  plan: GenerationPlan,
  { seed = 0, stoppingCriteria = [], signal }: GenerateOptions,
): Promise<number[][]> {
  const { prompts, maxLength, eosTokenIds, numBeams, earlyStopping } = plan
  const random = plan.doSample ? new Random(seed) : undefined
  const isEnd = (ids: readonly number[]): boolean =>
    ids.length >= maxLength || eosTokenIds.includes(ids.at(-1)!) || stoppingCriteria.some(holds => holds(ids))
  const turns = new Turns()

  checkAborted(signal)
  const first = await decoding.step(prompts)
  const searches = prompts.map((ids): Search => ({ running: [{ ids, score: 0 }], ended: [], canImprove: true }))
  let rows = first
  for (;;) {
    let offset = 0
    const parents: number[] = []
    let canGoOn = false
    for (const search of searches) {
      const candidates = bestCandidates(
        search.running,
        rows.slice(offset, offset + search.running.length),
        plan,
        random,
      )
      for (const candidate of candidates) candidate.isEnd = isEnd(candidate.ids)
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
  return best(searches, plan)
}

/** The likeliest continuations, more than numBeams so that enough are left when some end, best first or in the order drawn. */
function bestCandidates(
  running: readonly Beam[],
  rows: readonly Float32Array[],
  { numBeams, eosTokenIds, processors }: GenerationPlan,
  random: Random | undefined,
): Candidate[] {
  const count = Math.max(2, 1 + eosTokenIds.length) * numBeams
  const top: { key: number; score: number; parent: number; id: number }[] = [] // highest key first
  for (const [parent, beam] of running.entries()) {
    const scores = logSoftmax(rows[parent]!)
    for (const process of processors) process(scores, beam.ids)
    for (let id = 0; id < scores.length; id++) {
      const score = beam.score + scores[id]!
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
    score,
    parent,
    isEnd: false,
  }))
}

/** Takes up the candidates that end, while they can still change the outcome. */
function collectEnded(search: Search, candidates: readonly Candidate[], plan: GenerationPlan): void {
  const { numBeams, earlyStopping, lengthPenalty, prompts } = plan
  if (!search.canImprove || (earlyStopping === true && search.ended.length === numBeams)) return
  for (const { ids, score, isEnd } of candidates) {
    if (!isEnd) continue
    search.ended.push({ ids, score: score / (ids.length - prompts[0]!.length) ** lengthPenalty })
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

function best(searches: readonly Search[], plan: GenerationPlan): number[][] {
  const { numReturnSequences, eosTokenIds, padTokenId } = plan
  const sequences = searches.flatMap(({ ended }) => ended.slice(0, numReturnSequences).map(({ ids }) => ids))
  const length = Math.max(...sequences.map(ids => ids.length))
  const fill = padTokenId || (eosTokenIds[0] ?? padTokenId) // a padding id of 0 counts as none, as in HF's beam search
  return sequences.map(ids => [...ids, ...Array<number>(length - ids.length).fill(fill)])
}

function logSoftmax(logits: Float32Array): Float32Array {
  let highest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) if (logits[i]! > highest) highest = logits[i]!
  let sum = 0
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - highest)
  const shift = highest + Math.log(sum)
  return logits.map(logit => logit - shift)
}
