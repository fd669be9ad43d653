import { SinusoidalPositions } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'
import { oracle } from '../oracle.ts'

beforeAll(() => tf.setBackend('cpu'))

test('sines before cosines, as Marian has them', () => {
  expect(new SinusoidalPositions(8, 'halves').range(0, 6).dataSync()).toBeAllclose(oracle.sinusoidal.halves)
})

test('sines and cosines by turns, as in the paper', () => {
  const [interleaved, halves] = [new SinusoidalPositions(8), new SinusoidalPositions(8, 'halves')]
  const order = tf.tensor1d([0, 4, 1, 5, 2, 6, 3, 7], 'int32')
  expect(interleaved.range(0, 6).dataSync()).toEqual(tf.gather(halves.range(0, 6), order, 1).dataSync())
})

test('a later run gives the rows of an earlier one', () => {
  const positions = new SinusoidalPositions(4)
  const [whole, part] = [new SinusoidalPositions(4).range(0, 20), positions.range(0, 2) && positions.range(7, 5)]
  expect(part.dataSync()).toEqual(whole.slice([7, 0], [5, 4]).dataSync())
})
