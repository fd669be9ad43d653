import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { equalBatches, type TokenCounts, tokenBatches } from '../../src/data/batch-order.ts'
import { causalLmCollator } from '../../src/data/collators.ts'
import type { TokenExample } from '../../src/data/packed-tokens.ts'
import { randomSampler, sequentialSampler } from '../../src/data/sampler.ts'
import type { IndexedDataset } from '../../src/data/sources.ts'
import { IterableDataset } from '../../src/data/stream.ts'
import { type BatchPlan, batchPlan, updatesOf, updatesPerEpoch } from '../../src/data/updates.ts'
import { permuted } from '../../src/random.ts'

const numbered = (length: number): IndexedDataset<TokenExample> => ({
  length,
  get: index => ({ inputIds: [index, index] }),
})

const planOf = (options: Partial<BatchPlan<TokenExample>>): BatchPlan<TokenExample> => ({
  share: { rank: 0, size: 1 },
  collator: causalLmCollator(),
  batchSize: 2,
  accumulation: 1,
  dropLast: false,
  seed: 3,
  order: undefined,
  ...options,
})

/** The first token of every example, by update and batch. */
async function order(...args: Parameters<typeof updatesOf<TokenExample>>): Promise<number[][][]> {
  const updates: number[][][] = []
  for await (const batches of updatesOf(...args)) {
    updates.push(batches.map(({ inputs }) => [...inputs.inputIds!.values].filter((_, i) => i % 2 === 0)))
  }
  return updates
}

describe('a random order', () => {
  test('has every index once, whatever the size and the seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.nat(), (size, seed) => {
        const places = Array.from({ length: size }, (_, i) => permuted(i, size, seed))
        expect(new Set(places).size).toBe(size)
        expect(Math.min(...places)).toBe(0)
        expect(Math.max(...places)).toBe(size - 1)
      }),
    )
  })

  test('does not keep neighbours together, and differs between epochs and seeds', () => {
    const size = 1000
    const orderOf = (seed: number, epoch: number): number[] =>
      Array.from({ length: size }, (_, i) => randomSampler(size, seed).index(epoch, i))
    const first = orderOf(1, 0)
    const steps = first.slice(1).map((place, i) => Math.abs(place - first[i]!))
    // A uniform shuffle moves by size / 3 on average, with a standard error of about 7.5.
    expect(steps.reduce((a, b) => a + b) / steps.length).toBeGreaterThan(300)
    expect(steps.reduce((a, b) => a + b) / steps.length).toBeLessThan(366)
    for (const other of [orderOf(1, 1), orderOf(2, 0)]) {
      expect(first.filter((place, i) => place === other[i]).length).toBeLessThan(10)
    }
  })

  test('of a billion windows needs no list of them', () => {
    expect(permuted(999_999_999, 1_000_000_000, 7)).toBeLessThan(1_000_000_000)
  })
})

describe('updates of an epoch', () => {
  test('have batches of the size and number asked for, the last ones shorter', async () => {
    const plan = planOf({ order: equalBatches(sequentialSampler(7), 2, false), accumulation: 3 })
    expect(updatesPerEpoch(plan)).toBe(2)
    expect(await order(numbered(7), plan, 0)).toEqual([[[0, 1], [2, 3], [4, 5]], [[6]]]) // biome-ignore format: rows
  })

  test('leave out the rest with dropLast', async () => {
    const plan = planOf({ order: equalBatches(sequentialSampler(7), 2, true) })
    expect(updatesPerEpoch(plan)).toBe(3)
    expect((await order(numbered(7), plan, 0)).flat(2)).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('from the middle are those of the whole epoch from there on, with the same seeds', async () => {
    const seeds: number[] = []
    const inner = causalLmCollator()
    const collator: BatchPlan<TokenExample>['collator'] = (examples, seed) => {
      seeds.push(seed)
      return inner(examples, seed)
    }
    const plan = planOf({ order: equalBatches(randomSampler(23, 9), 2, false), accumulation: 2, collator })
    const whole = await order(numbered(23), plan, 4)
    const wholeSeeds = seeds.splice(0)
    expect(await order(numbered(23), plan, 4, 2)).toEqual(whole.slice(2))
    expect(seeds).toEqual(wholeSeeds.slice(4))
    expect(new Set(wholeSeeds).size).toBe(wholeSeeds.length)
  })

  test('of a stream come in its order, and skip what a resumed run has seen', async () => {
    const stream = {
      async *[Symbol.asyncIterator]() {
        for (let i = 0; i < 5; i++) yield { inputIds: [i, i] }
      },
    }
    expect((await order(stream, planOf({}), 0)).flat(2)).toEqual([0, 1, 2, 3, 4])
    expect((await order(stream, planOf({}), 0, 1)).flat(2)).toEqual([2, 3, 4])
    const shuffled = new IterableDataset(() => stream).shuffle({ bufferSize: 5 })
    const [first, second] = [await order(shuffled, planOf({}), 0), await order(shuffled, planOf({}), 1)]
    expect(second.flat(2)).not.toEqual(first.flat(2)) // each epoch has an order of its own
    expect((await order(shuffled, planOf({}), 1, 1)).flat(2)).toEqual(second.flat(2).slice(2))
  })
})

describe('batches by tokens', () => {
  const lengths = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })), { minLength: 1 })
  const longest = (chosen: readonly TokenCounts[]): number => Math.max(...chosen.flat())

  test('have every example once an epoch, and never more tokens than allowed with their padding', () => {
    fc.assert(
      fc.property(lengths, fc.integer({ min: 12, max: 60 }), fc.nat(), (counts, maxTokens, seed) => {
        const order = tokenBatches(counts, { maxTokens, seed })
        const batches = Array.from({ length: order.numBatches }, (_, batch) => order.examples(seed % 3, batch))
        expect(batches.flat().sort((a, b) => a - b)).toEqual(counts.map((_, i) => i))
        for (const batch of batches) {
          expect(batch.length * longest(batch.map(i => counts[i]!))).toBeLessThanOrEqual(maxTokens)
        }
      }),
    )
  })

  test('are as large as fits: the next example would not', () => {
    const counts: TokenCounts[] = [[3, 2], [2, 2], [3, 3], [5, 6], [4, 6]] // biome-ignore format: rows
    const order = tokenBatches(counts, { maxTokens: 9 })
    expect([0, 1, 2].map(batch => order.examples(0, batch))).toEqual([[1, 0, 2], [4], [3]])
  })

  test('are shuffled each epoch, and so are examples of the same lengths among them', () => {
    const counts = Array.from({ length: 300 }, (_, i): TokenCounts => [5, 5 + (i % 2)])
    const order = tokenBatches(counts, { maxTokens: 60, seed: 4 })
    const epoch = (n: number): number[][] => Array.from({ length: order.numBatches }, (_, b) => order.examples(n, b))
    const sets = (n: number): string[] => epoch(n).map(batch => batch.sort((a, b) => a - b).join())
    expect(epoch(0)).toEqual(epoch(0))
    expect(epoch(0)).not.toEqual(epoch(1))
    expect(sets(1).filter(batch => sets(0).includes(batch)).length).toBeLessThan(2)
  })

  const byTokens = {
    perDeviceTrainBatchSize: 1,
    maxTokensPerBatch: 8,
    gradientAccumulationSteps: 1,
    dataloaderDropLast: false,
    seed: 1,
    dataSeed: undefined,
    shuffle: true,
  }

  test('refuse an example that is longer than a batch', async () => {
    const dataset: IndexedDataset<TokenExample> = { length: 1, get: () => ({ inputIds: new Uint8Array(9) }) }
    await expect(batchPlan(dataset, causalLmCollator(), byTokens)).rejects.toThrow(
      'Trainer: example 0 has 9 tokens, expected at most maxTokensPerBatch (8). Shorten or leave out such examples, or raise maxTokensPerBatch.',
    )
  })

  test('refuse a stream, and examples without ids', async () => {
    const stream = { async *[Symbol.asyncIterator](): AsyncGenerator<TokenExample> {} }
    await expect(batchPlan(stream, causalLmCollator(), byTokens)).rejects.toThrow(
      'TrainingArguments: maxTokensPerBatch is 8, expected 0 since the data set is a stream, whose lengths are not known. Read it into a Dataset, or set perDeviceTrainBatchSize.',
    )
    const texts = { length: 1, get: () => ({ text: 'a' }) as unknown as TokenExample }
    await expect(batchPlan(texts, causalLmCollator(), byTokens)).rejects.toThrow(
      'Trainer: inputIds of example 0 is undefined, expected ids since maxTokensPerBatch is set. Tokenize the data set first.',
    )
  })
})

test('two processes have the batches of one between them, resumed too; what is not enough for both is left out', async () => {
  const dataset = numbered(11)
  const plan = (rank: number, size: number): BatchPlan<TokenExample> =>
    planOf({ share: { rank, size }, order: equalBatches(randomSampler(11, 4), 2, false) })
  const all = await order(dataset, plan(0, 1), 1)
  const shares = [await order(dataset, plan(0, 2), 1), await order(dataset, plan(1, 2), 1)]
  expect(shares[0]).toEqual([all[0], all[2], all[4]])
  expect(shares[1]).toEqual([all[1], all[3], all[5]])
  expect(await order(dataset, plan(1, 2), 1, 2)).toEqual([all[5]])
  expect(updatesPerEpoch(plan(1, 4))).toBe(1)
  const stream = {
    async *[Symbol.asyncIterator]() {
      for (let i = 0; i < 11; i++) yield dataset.get(i) as TokenExample
    },
  }
  expect(await order(stream, planOf({ share: { rank: 1, size: 2 } }), 0)).toEqual([[[2, 3]], [[6, 7]]])
})
