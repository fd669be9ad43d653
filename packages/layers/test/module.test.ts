import { Embedding, Linear, Module, RMSNorm, skipInitialization } from '@heed/layers'
import { HeedError, tf } from '@heed/tensor-backend'
import { beforeAll, describe, expect, test } from 'vitest'

beforeAll(() => tf.setBackend('cpu'))

class Tied extends Module {
  readonly embedTokens = this.child('embed_tokens', new Embedding(4, 2))
  readonly layers = this.childList('layers', [new Linear(2, 2), new Linear(2, 2, { bias: false })])
  readonly norm = this.child('norm', new RMSNorm(2))
  readonly lmHead = this.child('lm_head', new Linear(2, 4, { bias: false, weight: this.embedTokens.weight }))
}

function errorOf(run: () => unknown): HeedError {
  try {
    run()
  } catch (error) {
    if (error instanceof HeedError) return error
  }
  throw new Error('expected a HeedError')
}

const keys = ['embed_tokens.weight', 'layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'norm.weight']

describe('Module', () => {
  test('names parameters by their path, in the order they were made, a tied weight once', () => {
    const model = new Tied()
    expect([...model.stateDict().keys()]).toEqual(keys)
    expect(model.numParameters).toBe(8 + 6 + 4 + 2)
    expect(Array.from(model.parameterKeys(), ([key]) => key)).toEqual([...keys, 'lm_head.weight'])
    model.dispose()
  })

  test('names its own parts and parameters, without those below them', () => {
    const model = new Tied()
    const children = Array.from(model.namedChildren(), ([name, module]) => [name, module.constructor.name])
    expect(children).toEqual([
      ['embed_tokens', 'Embedding'],
      ['layers.0', 'Linear'],
      ['layers.1', 'Linear'],
      ['norm', 'RMSNorm'],
      ['lm_head', 'Linear'],
    ])
    expect([...model.ownParameters()]).toEqual([])
    expect(Array.from(model.layers[0]!.ownParameters(), ([name]) => name)).toEqual(['weight', 'bias'])
    model.dispose()
  })

  test('frees every tensor it made', () => {
    const before = tf.memory().numTensors
    const model = new Tied()
    expect(tf.memory().numTensors).toBe(before + 5)
    model.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  test('refuses a name twice', () => {
    class Twice extends Module {
      readonly a = this.child('a', new RMSNorm(2))
      readonly b = this.child('a', new RMSNorm(2))
    }
    expect(errorOf(() => new Twice()).message).toBe(
      'Twice: name is "a", expected one that no other parameter or child has. Rename one.',
    )
  })

  test('train and eval reach every part', () => {
    const model = new Tied()
    expect(model.train().lmHead.isTraining).toBe(true)
    expect(model.eval().lmHead.isTraining).toBe(false)
    model.dispose()
  })

  test('a frozen part gets no gradient', () => {
    const model = new Tied()
    model.norm.requiresGrad(false)
    const { grads } = tf.variableGrads(() => tf.sum(model.norm.forward(model.layers[0]!.forward(tf.ones([1, 2])))))
    expect(grads[model.norm.weight.name]).toBeUndefined()
    expect(grads[model.layers[0]!.weight.name]).toBeDefined()
    tf.dispose(grads)
    model.dispose()
  })
})

describe('loadStateDict', () => {
  test('copies, so that neither module changes with the other', () => {
    const [from, to] = [new Tied(), new Tied()]
    to.loadStateDict(from.stateDict())
    for (const [key, parameter] of to.namedParameters()) {
      expect(parameter.dataSync()).toEqual(from.stateDict().get(key)!.dataSync())
      expect(parameter.dataId).not.toBe(from.stateDict().get(key)!.dataId)
    }
    from.dispose()
    expect(to.norm.weight.dataSync()).toEqual(new Float32Array([1, 1]))
    to.dispose()
  })

  test('leaves no tensor behind', () => {
    const [from, to] = [new Tied(), new Tied()]
    const before = tf.memory().numTensors
    to.loadStateDict(from.stateDict())
    expect(tf.memory().numTensors).toBe(before)
    from.dispose()
    to.dispose()
  })

  test('takes a tied weight under its second key', () => {
    const [from, to] = [new Tied(), new Tied()]
    const state = from.stateDict()
    state.set('lm_head.weight', state.get('embed_tokens.weight')!)
    state.delete('embed_tokens.weight')
    expect(to.loadStateDict(state)).toEqual({ missing: [], unexpected: [] })
    expect(to.embedTokens.weight.dataSync()).toEqual(from.embedTokens.weight.dataSync())
    from.dispose()
    to.dispose()
  })

  test('names missing, unexpected and mis-shaped keys in one error and changes nothing', () => {
    const model = new Tied()
    const norm = tf.tensor1d([2, 2])
    const error = errorOf(() =>
      model.loadStateDict({ 'norm.weight': norm, 'layers.1.weight': tf.zeros([3, 2]), 'h.0.weight': norm }),
    )
    expect(error.code).toBe('HEED_STATE_DICT_MISMATCH')
    expect(error.message).toBe(
      'loadStateDict: tensors are 3 missing (embed_tokens.weight, layers.0.weight, layers.0.bias), ' +
        '1 unexpected (h.0.weight), 1 of another shape (layers.1.weight has shape [3, 2], expected [2, 2]), ' +
        'expected the keys and shapes of Tied. Check that the checkpoint and the configuration belong together.',
    )
    expect(model.norm.weight.dataSync()).toEqual(new Float32Array([1, 1]))
    model.dispose()
  })

  test('when not strict, loads what fits and reports the rest', () => {
    const model = new Tied()
    const norm = tf.tensor1d([2, 3])
    const report = model.loadStateDict({ 'norm.weight': norm, other: norm }, { strict: false })
    expect(report).toEqual({ missing: keys.slice(0, 4), unexpected: ['other'] })
    expect(model.norm.weight.dataSync()).toEqual(new Float32Array([2, 3]))
    model.dispose()
  })

  test('cuts long lists of keys', () => {
    const model = new Tied()
    const state = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`x${i}`, tf.scalar(0)]))
    expect(errorOf(() => model.loadStateDict(state)).message).toContain('8 unexpected (x0, x1, x2, x3, x4, and 3 more)')
    model.dispose()
  })
})

test('skipInitialization leaves parameters 0, also after an error inside it', () => {
  const layer = skipInitialization(() => new Linear(2, 2))
  expect(layer.weight.dataSync()).toEqual(new Float32Array(4))
  expect(() =>
    skipInitialization(() => {
      throw new Error('inside')
    }),
  ).toThrow('inside')
  const drawn = new Linear(2, 2)
  expect(drawn.weight.dataSync().every(value => value !== 0)).toBe(true)
  layer.dispose()
  drawn.dispose()
})
