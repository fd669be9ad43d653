import { sinusoidalPositions } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'
import { oracle } from '../oracle.ts'

beforeAll(() => tf.setBackend('cpu'))

test('sines before cosines, as Marian has them', () => {
  expect(sinusoidalPositions(6, 8, 'halves').dataSync()).toBeAllclose(oracle.sinusoidal.halves)
})

test('sines and cosines by turns, as in the paper', () => {
  const [interleaved, halves] = [sinusoidalPositions(6, 8), sinusoidalPositions(6, 8, 'halves')]
  const order = tf.tensor1d([0, 4, 1, 5, 2, 6, 3, 7], 'int32')
  expect(interleaved.dataSync()).toEqual(tf.gather(halves, order, 1).dataSync())
})
