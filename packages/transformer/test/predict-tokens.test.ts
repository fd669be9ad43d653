import { init, tf, variableGradients } from '@heed/tensor-backend'
import { BertForMaskedLM, bertConfig } from '@heed/transformer'
import { beforeAll, describe, expect, test } from 'vitest'
import { tinyGpt2 } from './tiny-gpt2.ts'

beforeAll(() => init())

const inputIds = [
  [5, 6, 7, 8, 9, 10],
  [11, 12, 13, 14, 15, 0],
]
const attentionMask = [
  [1, 1, 1, 1, 1, 1],
  [1, 1, 1, 1, 1, 0],
]
const few = [
  [-100, 6, -100, -100, 3, -100],
  [-100, -100, -100, 14, -100, -100],
]

const sizes = { vocabSize: 20, hiddenSize: 8, numHiddenLayers: 2, numAttentionHeads: 2, intermediateSize: 16 }

const models = {
  bert: () => new BertForMaskedLM(bertConfig.complete(sizes), { seed: 3 }),
  gpt2: () => tinyGpt2(3),
}

describe.each(Object.entries(models))('%s', (name, make) => {
  test('scores only positions with a label when asked, with the loss and gradients of all', () => {
    const model = make().eval()
    const before = tf.memory().numTensors
    const run = (sparsePrediction: boolean) => {
      let shape: number[] = []
      const { value, gradients } = variableGradients(
        () => {
          const { loss, logits } = model.forward({ inputIds, attentionMask, labels: few, sparsePrediction })
          shape = logits.shape
          return loss!
        },
        [...model.namedParameters()].map(([, parameter]) => parameter),
      )
      return { value, gradients, shape }
    }
    const [dense, sparse] = [run(false), run(true)]
    expect(dense.shape).toEqual([2, 6, 20])
    expect(sparse.shape).toEqual([1, 3, 20])
    expect(sparse.value.dataSync()).toBeAllclose(dense.value.dataSync(), { rtol: 1e-6, atol: 0 })
    expect(sparse.gradients.size).toBe(dense.gradients.size)
    for (const [variable, gradient] of dense.gradients)
      expect(sparse.gradients.get(variable)!.dataSync(), variable.name).toBeAllclose(gradient.dataSync(), {
        rtol: 1e-4,
        atol: 1e-6,
      })
    tf.dispose([dense.value, sparse.value, ...dense.gradients.values(), ...sparse.gradients.values()])
    expect(tf.memory().numTensors).toBe(before)
    model.dispose()
  })

  test('the scores are those of the labelled positions', () => {
    const model = make().eval()
    const [all, some] = [false, true].map(sparsePrediction =>
      model.forward({ inputIds, attentionMask, labels: few, sparsePrediction }),
    )
    const shift = name === 'gpt2' ? 1 : 0
    const places = few.flat().flatMap((label, i) => (label === -100 ? [] : [i - shift]))
    const expected = tf.tidy(() => tf.gather(all!.logits.reshape([12, 20]), places).dataSync())
    expect(some!.logits.dataSync()).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-6 })
    tf.dispose([all!, some!])
    model.dispose()
  })

  test('all are scored where most have a label, or none', () => {
    const model = make().eval()
    const shapeWith = (labels: number[][]): number[] => {
      const output = model.forward({ inputIds, labels, sparsePrediction: true })
      const { shape } = output.logits
      tf.dispose(output)
      return shape
    }
    expect(shapeWith(inputIds)).toEqual([2, 6, 20])
    expect(shapeWith(few.map(row => row.map(() => -100)))).toEqual([2, 6, 20])
    expect(() => shapeWith([few[0]!])).toThrow(/labels has shape \[1, 6\], expected \[2, 6\]/)
    expect(() => shapeWith(few.map(row => row.map(label => (label === 14 ? 20 : label))))).toThrow(
      /labels\[1\]\[3\] is 20, expected 0 to 19 or -100/,
    )
    model.dispose()
  })
})
