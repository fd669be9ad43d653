import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concatenateDatasets, Dataset } from '../../src/data/dataset.ts'
import { IterableDataset, interleaveDatasets } from '../../src/data/stream.ts'

const numbers = (length: number): Dataset<number> => Dataset.from(Array.from({ length }, (_, i) => i))
const sorted = (rows: Iterable<number>): number[] => [...rows].sort((a, b) => a - b)

describe('Dataset', () => {
  test('maps, filters, selects, takes and skips rows without changing itself', async () => {
    const rows = numbers(6)
    expect([...(await rows.map((row, i) => row * 10 + i))]).toEqual([0, 11, 22, 33, 44, 55])
    expect([...(await rows.filter(async row => row % 2 === 1)).select([2, 0])]).toEqual([5, 1])
    expect([...rows.skip(4), ...rows.take(2)]).toEqual([4, 5, 0, 1])
    expect([...(await rows.map(batch => [batch.length, ...batch], { batched: true, batchSize: 4 }))]).toEqual([
      4, 0, 1, 2, 3, 2, 4, 5,
    ])
    expect([...concatenateDatasets([rows.take(1), rows.skip(5)])]).toEqual([0, 5])
    expect([...rows]).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('shuffles and splits into parts that have each row once, the same for the same seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), fc.nat({ max: 1000 }), (length, seed) => {
        const { train, test } = numbers(length).trainTestSplit({ testSize: 0.3, seed })
        expect(sorted([...train, ...test])).toEqual([...numbers(length)])
        expect(test.length).toBe(Math.ceil(0.3 * length))
        expect([...numbers(length).shuffle({ seed })]).toEqual([...train, ...test])
      }),
    )
    expect([...numbers(100).shuffle({ seed: 1 })]).not.toEqual([...numbers(100).shuffle({ seed: 2 })])
  })

  test('refuses rows it does not have and splits that leave nothing', () => {
    expect(() => numbers(3).get(3)).toThrow('Dataset: index is 3, expected an integer at least 0 and below 3.')
    expect(() => numbers(3).trainTestSplit({ testSize: 3 })).toThrow(
      'Dataset.trainTestSplit: testSize is 3, expected one that leaves both parts of 3 rows some.',
    )
    expect(() => numbers(3).take(-1)).toThrow('Dataset.take: count is -1, expected an integer at least 0.')
    expect(() => new IterableDataset(() => [1]).skip(Number.NaN)).toThrow(
      'IterableDataset.skip: count is NaN, expected',
    )
  })
})

describe('IterableDataset', () => {
  const stream = new IterableDataset(() => numbers(30))

  test('reads only as far as it is asked, and from the start again', async () => {
    let started = 0
    let read = 0
    const counted = new IterableDataset(function* () {
      started += 1
      for (const row of numbers(30)) {
        read += 1
        yield row
      }
    })
    const chain = counted
      .skip(1)
      .map(row => row * 2)
      .filter(row => row % 4 === 0)
      .take(2)
    expect([...(await chain.toDataset())]).toEqual([4, 8])
    expect(read).toBe(5)
    expect([...(await chain.toDataset())]).toEqual([4, 8])
    expect(started).toBe(2)
    expect([...(await counted.take(0).toDataset())]).toEqual([])
    expect([
      ...(await stream
        .take(2)
        .flatMap(row => [row, row])
        .toDataset()),
    ]).toEqual([0, 0, 1, 1])
  })

  test('shuffles within a buffer: each row once, the same for the same seed', async () => {
    const order = async (seed: number): Promise<number[]> => [
      ...(await stream.shuffle({ seed, bufferSize: 8 }).toDataset()),
    ]
    expect(sorted(await order(1))).toEqual([...numbers(30)])
    expect(await order(1)).toEqual(await order(1))
    expect(await order(2)).not.toEqual(await order(1))
    expect((await order(1)).indexOf(29)).toBeGreaterThan(20) // a row cannot come before it was read into the buffer
    const inEpoch = async (epoch: number): Promise<number[]> => {
      const rows: number[] = []
      const shuffled = stream.shuffle({ seed: 1, bufferSize: 8 })
      const mixed = interleaveDatasets([shuffled.map(row => row).filter(() => true), shuffled.skip(0)])
      for await (const row of mixed.pass(epoch)) rows.push(row)
      return rows.filter((_, i) => i % 2 === 0)
    }
    expect(await inEpoch(0)).toEqual(await order(1))
    expect(sorted(await inEpoch(1))).toEqual([...numbers(30)])
    expect(await inEpoch(1)).not.toEqual(await order(1))
    expect(await inEpoch(1)).toEqual(await inEpoch(1))
    expect(() => stream.shuffle({ bufferSize: 0 })).toThrow(
      'IterableDataset.shuffle: bufferSize is 0, expected an integer at least 1.',
    )
  })
})
