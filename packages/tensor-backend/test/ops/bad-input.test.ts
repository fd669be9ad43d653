import {
  adamW,
  attention,
  crossEntropy,
  dropout,
  embedding,
  gelu,
  globalNorm,
  HeedError,
  layerNorm,
  linear,
  rmsNorm,
  rotary,
  swiGlu,
  tf,
  tokenLogProbs,
  writeRows,
} from '@heed/tensor-backend'
import { describe, expect, test } from 'vitest'
import { expectNoLeak, onEachBackend } from './conformance.ts'

interface BadCall {
  call: () => unknown
  code: string
  message: string
}

const zeros = (...shape: number[]): tf.Tensor => tf.zeros(shape)
const ints = (values: number[]): tf.Tensor => tf.tensor1d(values, 'int32')
const heads = (batch = 1, seqLen = 2, numHeads = 4): tf.Tensor => zeros(batch, seqLen, numHeads, 8)

const calls: Record<string, BadCall> = {
  'rmsNorm with a weight of another size': {
    call: () => rmsNorm(zeros(2, 3), zeros(4), 1e-6),
    code: 'HEED_SHAPE_MISMATCH',
    message: 'rmsNorm: weight has shape [4], expected [3]. Reshape weight or check the sizes it was made with.',
  },
  'rmsNorm without eps': {
    call: () => rmsNorm(zeros(2, 3), zeros(3), undefined as never),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'rmsNorm: eps is undefined, expected a number of at least 0. Often it is 1e-5 or 1e-6.',
  },
  'layerNorm with a text for eps': {
    call: () => layerNorm(zeros(2, 3), zeros(3), undefined, '1e-5' as never),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'layerNorm: eps is "1e-5", expected a number of at least 0. Often it is 1e-5 or 1e-6.',
  },
  'attention with an option of an unknown name': {
    call: () => attention(heads(), heads(), heads(), { causal: true } as never),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'attention: causal is not an option, expected isCausal. Rename it or leave it out.',
  },
  'crossEntropy with an option of an unknown name': {
    call: () => crossEntropy(zeros(1, 5), ints([1]), { labelSmoothin: 0.1 } as never),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'crossEntropy: labelSmoothin is not an option, expected labelSmoothing. Rename it or leave it out.',
  },
  'rmsNorm of what is gone': {
    call: () => {
      const x = zeros(2, 3)
      x.dispose()
      return rmsNorm(x, zeros(3), 1e-6)
    },
    code: 'HEED_DISPOSED',
    message:
      'rmsNorm: x was disposed of, expected a tensor in use. Dispose of tensors and models when they are no more needed; ' +
      'tf.keep takes a tensor out of a tf.tidy.',
  },
  'linear with a weight that is gone': {
    call: () => {
      const weight = zeros(4, 3)
      weight.dispose()
      return linear(zeros(2, 3), weight)
    },
    code: 'HEED_DISPOSED',
    message:
      'linear: weight was disposed of, expected a tensor in use. Dispose of tensors and models when they are no more needed; ' +
      'tf.keep takes a tensor out of a tf.tidy.',
  },
  'rmsNorm of whole numbers': {
    call: () => rmsNorm(tf.zeros([2, 3], 'int32'), zeros(3), 1e-6),
    code: 'HEED_DTYPE_UNSUPPORTED',
    message: "rmsNorm: x has dtype int32, expected float32. Convert it with x.cast('float32').",
  },
  'layerNorm with a bias of another size': {
    call: () => layerNorm(zeros(2, 3), zeros(3), zeros(1), 1e-6),
    code: 'HEED_SHAPE_MISMATCH',
    message: 'layerNorm: bias has shape [1], expected [3]. Reshape bias or check the sizes it was made with.',
  },
  'gelu of booleans': {
    call: () => gelu(tf.zeros([2], 'bool')),
    code: 'HEED_DTYPE_UNSUPPORTED',
    message: "gelu: x has dtype bool, expected float32. Convert it with x.cast('float32').",
  },
  'swiGlu of two shapes': {
    call: () => swiGlu(zeros(2, 3), zeros(3, 2)),
    code: 'HEED_SHAPE_MISMATCH',
    message: 'swiGlu: up has shape [3, 2], expected [2, 3]. Reshape up or check the sizes it was made with.',
  },
  'rotary with more angles than pairs': {
    call: () => rotary(heads(), zeros(2, 5), zeros(2, 5)),
    code: 'HEED_SHAPE_MISMATCH',
    message: 'rotary: cos has 5 angles, expected at most 4, half of headDim. Check rotaryDim.',
  },
  'rotary with too few positions': {
    call: () => rotary(heads(), zeros(1, 4), zeros(1, 4)),
    code: 'HEED_SHAPE_MISMATCH',
    message:
      'rotary: cos has shape [1, 4], expected [2, -1] (-1 is any size). Reshape cos or check the sizes it was made with.',
  },
  'dropout of everything': {
    call: () => dropout(zeros(2), 1, 0),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'dropout: rate is 1, expected at least 0 and below 1. It is the share of elements to drop.',
  },
  'embedding of an id beyond the table': {
    call: () => embedding(ints([1, 7]), zeros(7, 3)),
    code: 'HEED_ID_OUT_OF_RANGE',
    message:
      'embedding: ids[1] is 7, expected 0 to 6 (vocabSize is 7). Check that the tokenizer and the model belong together.',
  },
  'embedding of a negative id': {
    call: () => embedding(ints([-1]), zeros(7, 3)),
    code: 'HEED_ID_OUT_OF_RANGE',
    message:
      'embedding: ids[0] is -1, expected 0 to 6 (vocabSize is 7). Check that the tokenizer and the model belong together.',
  },
  'embedding of fractions': {
    call: () => embedding(zeros(2), zeros(7, 3)),
    code: 'HEED_DTYPE_UNSUPPORTED',
    message: "embedding: ids has dtype float32, expected int32. Convert it with ids.cast('int32').",
  },
  'embedding from a vector': {
    call: () => embedding(ints([0]), zeros(7)),
    code: 'HEED_SHAPE_MISMATCH',
    message: 'embedding: weight has shape [7], expected 2 axes [vocabSize, hiddenSize]. Reshape weight first.',
  },
  'crossEntropy of a label beyond the vocabulary': {
    call: () => crossEntropy(zeros(2, 5), ints([-100, 5])),
    code: 'HEED_ID_OUT_OF_RANGE',
    message:
      'crossEntropy: labels[1] is 5, expected 0 to 4 (vocabSize is 5) or -100, which is ignored. ' +
      'Check that the tokenizer and the model belong together.',
  },
  'crossEntropy of too few labels': {
    call: () => crossEntropy(zeros(2, 5), ints([1])),
    code: 'HEED_SHAPE_MISMATCH',
    message: 'crossEntropy: labels has shape [1], expected [2]. Reshape labels or check the sizes it was made with.',
  },
  'crossEntropy with too much smoothing': {
    call: () => crossEntropy(zeros(1, 5), ints([1]), { labelSmoothing: 1.5 }),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'crossEntropy: labelSmoothing is 1.5, expected 0 to 1. Leave it out for none.',
  },
  'tokenLogProbs of an id beyond the vocabulary': {
    call: () => tokenLogProbs(zeros(1, 5), ints([9])),
    code: 'HEED_ID_OUT_OF_RANGE',
    message:
      'tokenLogProbs: ids[0] is 9, expected 0 to 4 (vocabSize is 5). Check that the tokenizer and the model belong together.',
  },
  'globalNorm of whole numbers': {
    call: () => globalNorm([zeros(2), ints([1])]),
    code: 'HEED_DTYPE_UNSUPPORTED',
    message: "globalNorm: tensor has dtype int32, expected float32. Convert it with tensor.cast('float32').",
  },
  'adamW with a gradient of another shape': {
    call: () => {
      const value = tf.variable(zeros(2))
      const parameter = { value, gradient: zeros(3), mean: value, meanSquare: value, weightDecay: 0 }
      try {
        adamW([parameter], { learningRate: 1, beta1: 0, beta2: 0, eps: 1, step: 1 })
      } finally {
        value.dispose()
      }
    },
    code: 'HEED_SHAPE_MISMATCH',
    message: 'adamW: gradient has shape [3], expected [2]. Reshape gradient or check the sizes it was made with.',
  },
  'writeRows past the end': {
    call: () => {
      const target = tf.variable(heads(1, 4))
      try {
        writeRows(target, heads(1, 3), 2)
      } finally {
        target.dispose()
      }
    },
    code: 'HEED_ARGUMENT_INVALID',
    message:
      'writeRows: offset is 2, expected a whole number from 0 to 1, so that 3 rows fit in 4. Make the cache larger.',
  },
  'attention of three axes': {
    call: () => attention(zeros(2, 4, 8), heads(), heads()),
    code: 'HEED_SHAPE_MISMATCH',
    message: 'attention: q has shape [2, 4, 8], expected 4 axes [batch, seqLen, numHeads, headDim]. Reshape q first.',
  },
  'attention with keys of another batch': {
    call: () => attention(heads(2), heads(), heads()),
    code: 'HEED_SHAPE_MISMATCH',
    message:
      'attention: k has shape [1, 2, 4, 8], expected [2, -1, -1, 8] (-1 is any size). ' +
      'Reshape k or check the sizes it was made with.',
  },
  'attention with heads that do not group': {
    call: () => attention(heads(1, 2, 4), heads(1, 2, 3), heads(1, 2, 3)),
    code: 'HEED_SHAPE_MISMATCH',
    message: 'attention: q has 4 heads, expected a multiple of the 3 heads of k. Check numKeyValueHeads.',
  },
  'attention with a keyLen beyond the cache': {
    call: () => attention(heads(), heads(), heads(), { keyLen: 3 }),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'attention: keyLen is 3, expected a whole number from 0 to 2. k has no more rows.',
  },
  'attention with a window that is not causal': {
    call: () => attention(heads(), heads(), heads(), { slidingWindow: 2 }),
    code: 'HEED_ARGUMENT_INVALID',
    message:
      'attention: slidingWindow is 2, expected a whole number above 0, together with isCausal. ' +
      'Leave it out to see every earlier key.',
  },
  'attention with a soft cap of 0': {
    call: () => attention(heads(), heads(), heads(), { softcap: 0 }),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'attention: softcap is 0, expected a number above 0. Leave it out for no cap.',
  },
  'attention with a dropout rate below 0': {
    call: () => attention(heads(), heads(), heads(), { dropout: { rate: -0.5, seed: 1 } }),
    code: 'HEED_ARGUMENT_INVALID',
    message: 'attention: dropout.rate is -0.5, expected at least 0 and below 1. It is the share of elements to drop.',
  },
  'attention with a bias that does not broadcast': {
    call: () => attention(heads(), heads(), heads(), { bias: zeros(1, 2, 2, 2) }),
    code: 'HEED_SHAPE_MISMATCH',
    message:
      'attention: bias has shape [1, 2, 2, 2], expected [1, 4, 2, 2]. Reshape bias or check the sizes it was made with.',
  },
  'attention with a mask of another length': {
    call: () => attention(heads(), heads(), heads(), { keyPaddingMask: tf.ones([1, 3], 'int32') }),
    code: 'HEED_SHAPE_MISMATCH',
    message:
      'attention: keyPaddingMask has shape [1, 3], expected [1, 2]. ' +
      'Reshape keyPaddingMask or check the sizes it was made with.',
  },
}

onEachBackend(() => {
  expectNoLeak()

  describe.each(Object.entries(calls))('%s', (_, { call, code, message }) => {
    test('is refused in words', () => {
      let error: unknown
      tf.tidy(() => {
        try {
          call()
        } catch (thrown) {
          error = thrown
        }
      })
      expect(error).toBeInstanceOf(HeedError)
      expect((error as HeedError).message).toBe(message)
      expect((error as HeedError).code).toBe(code)
    })
  })
})
