import type { Random } from '@heed/layers'
import type { LogitsProcessor } from './logits-processors.ts'

/** scores / temperature: below 1 the likely become likelier, above 1 less so. */
export function temperatureWarper(temperature: number): LogitsProcessor {
  return scores => {
    for (let i = 0; i < scores.length; i++) scores[i]! /= temperature
  }
}

/** Keeps the k highest scores, and those equal to the lowest of them. Fan et al. 2018 (arXiv:1805.04833). */
export function topKWarper(k: number): LogitsProcessor {
  return scores => forbidBelow(scores, kthHighest(scores, k))
}

/** Keeps the likeliest tokens whose probabilities sum to at least p. Holtzman et al. 2019 (arXiv:1904.09751). */
export function topPWarper(p: number, minToKeep = 1): LogitsProcessor {
  return scores => {
    if (p >= 1) return
    const probabilities = softmax(scores)
    // All tokens below this share together hold less than 1 - p: they go in any case and need no sorting.
    const floor = (1 - p) / scores.length
    const candidates = probabilities.filter(probability => probability >= floor).sort()
    let lower = 0
    for (const probability of probabilities) if (probability < floor) lower += probability
    let first = 0 // the lowest candidate that stays
    while (first < candidates.length - minToKeep && lower + candidates[first]! <= 1 - p) lower += candidates[first++]!
    forbidUnlikely(scores, probabilities, candidates[first]!)
  }
}

/** Keeps tokens at least `p` times as likely as the likeliest. Nguyen et al. 2024 (arXiv:2407.01082). */
export function minPWarper(p: number, minToKeep = 1): LogitsProcessor {
  return scores => {
    forbidBelow(scores, Math.min(highestOf(scores) + Math.log(p), kthHighest(scores, minToKeep)))
  }
}

/** Keeps tokens of at least this probability. Hewitt et al. 2022 (arXiv:2210.15191), epsilon sampling. */
export function epsilonWarper(epsilon: number, minToKeep = 1): LogitsProcessor {
  return scores => {
    const probabilities = softmax(scores)
    forbidUnlikely(scores, probabilities, Math.min(epsilon, kthHighest(probabilities, minToKeep)))
  }
}

/** Keeps tokens of at least min(epsilon, sqrt(epsilon) · exp(-entropy)). Hewitt et al. 2022, eta sampling. */
export function etaWarper(epsilon: number, minToKeep = 1): LogitsProcessor {
  return scores => {
    const probabilities = softmax(scores)
    const eta = Math.min(epsilon, Math.sqrt(epsilon) * Math.exp(-entropyOf(probabilities)))
    forbidUnlikely(scores, probabilities, Math.min(eta, kthHighest(probabilities, minToKeep)))
  }
}

/**
 * Keeps the tokens whose surprise is nearest to the expected one, until their probabilities sum to p.
 * Meister et al. 2022 (arXiv:2202.00666).
 */
export function typicalWarper(p: number, minToKeep = 1): LogitsProcessor {
  return scores => {
    if (p >= 1) return
    const probabilities = softmax(scores)
    const entropy = entropyOf(probabilities)
    const shift = probabilities.map(probability => Math.abs(-Math.log(probability) - entropy))
    const order = Array.from(scores.keys()).sort((a, b) => shift[a]! - shift[b]!)
    let sum = 0
    let kept = 0
    while (kept < order.length && sum < p) sum += probabilities[order[kept++]!]!
    for (const id of order.slice(Math.max(kept, minToKeep))) scores[id] = Number.NEGATIVE_INFINITY
  }
}

/** The id of the highest score, the first of equals. */
export function argmax(scores: Float32Array): number {
  let best = 0
  for (let i = 1; i < scores.length; i++) if (scores[i]! > scores[best]!) best = i
  return best
}

/** Draws an id by its probability softmax(scores)[id]. */
export function sample(scores: Float32Array, random: Random): number {
  const probabilities = softmax(scores)
  let rest = random.uniform()
  let last = 0
  for (let id = 0; id < probabilities.length; id++) {
    const probability = probabilities[id]!
    if (probability === 0) continue
    last = id
    rest -= probability
    if (rest < 0) break
  }
  return last
}

/** exp(score - max) / Σ exp(score - max), in float64. */
export function softmax(scores: Float32Array): Float64Array {
  const highest = highestOf(scores)
  const probabilities = new Float64Array(scores.length)
  let sum = 0
  for (let i = 0; i < scores.length; i++) {
    const exp = Math.exp(scores[i]! - highest)
    probabilities[i] = exp
    sum += exp
  }
  for (let i = 0; i < scores.length; i++) probabilities[i]! /= sum
  return probabilities
}

/** log Σ exp(score). */
export function logSumExp(scores: Float32Array): number {
  const highest = highestOf(scores)
  let sum = 0
  for (let i = 0; i < scores.length; i++) sum += Math.exp(scores[i]! - highest)
  return highest + Math.log(sum)
}

/** In nats. */
function entropyOf(probabilities: Float64Array): number {
  let entropy = 0
  for (const probability of probabilities) if (probability > 0) entropy -= probability * Math.log(probability)
  return entropy
}

function highestOf(scores: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < scores.length; i++) if (scores[i]! > highest) highest = scores[i]!
  return highest
}

function forbidBelow(scores: Float32Array, lowest: number): void {
  for (let i = 0; i < scores.length; i++) if (scores[i]! < lowest) scores[i] = Number.NEGATIVE_INFINITY
}

function forbidUnlikely(scores: Float32Array, probabilities: Float64Array, lowest: number): void {
  for (let i = 0; i < scores.length; i++) if (probabilities[i]! < lowest) scores[i] = Number.NEGATIVE_INFINITY
}

/** The k-th highest score, -Infinity when there are no more than k; found with a heap of the k highest so far: one comparison for most scores. */
function kthHighest(scores: Float32Array | Float64Array, k: number): number {
  if (k >= scores.length) return Number.NEGATIVE_INFINITY
  const heap = scores.slice(0, k).sort() // ascending is a valid heap, the lowest at its root
  for (let i = k; i < scores.length; i++) {
    const score = scores[i]!
    if (score <= heap[0]!) continue
    let hole = 0
    for (;;) {
      let child = 2 * hole + 1
      if (child >= k) break
      if (child + 1 < k && heap[child + 1]! < heap[child]!) child += 1
      if (heap[child]! >= score) break
      heap[hole] = heap[child]!
      hole = child
    }
    heap[hole] = score
  }
  return heap[0]!
}
