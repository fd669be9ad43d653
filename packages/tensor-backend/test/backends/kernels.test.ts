import { tf } from '@heed/tensor-backend'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectSameAsCpu, floats, onKernelBackends, type Plain, shapes, values } from './same-as-cpu.ts'

const runs = { numRuns: 60 }

/** Two shapes that broadcast: axes of the first set to 1, or cut off from the left, in each. */
const broadcastShapes = fc
  .tuple(shapes(), fc.array(fc.constantFrom('both', 'a', 'b'), { minLength: 4, maxLength: 4 }), fc.nat(4), fc.boolean())
  .map(([shape, kinds, cut, isSwapped]) => {
    const a = shape.map((size, axis) => (kinds[axis] === 'b' ? 1 : size))
    const b = shape.map((size, axis) => (kinds[axis] === 'a' ? 1 : size)).slice(Math.min(cut, shape.length))
    return isSwapped ? [b, a] : [a, b]
  })

const pairOf = (dtype: Plain['dtype']): fc.Arbitrary<[Plain, Plain]> =>
  broadcastShapes.chain(([a, b]) => fc.tuple(values(a!, dtype), values(b!, dtype)))

const one = (dtype: Plain['dtype'] = 'float32', withSpecial = true): fc.Arbitrary<Plain> =>
  shapes().chain(shape => values(shape, dtype, withSpecial))

const axesOf = (rank: number): fc.Arbitrary<number[]> => fc.subarray([...Array(rank).keys()])

await onKernelBackends(() => {
  describe('an operation on two tensors', () => {
    const floatOps = { add: tf.add, sub: tf.sub, mul: tf.mul, div: tf.div, maximum: tf.maximum, minimum: tf.minimum }
    for (const [name, op] of Object.entries({ ...floatOps, squaredDifference: tf.squaredDifference, pow: tf.pow })) {
      test(`${name} of floats equals cpu's, with broadcasting, NaN and infinities`, () => {
        fc.assert(
          fc.property(pairOf('float32'), ([a, b]) => expectSameAsCpu([a, b], (x, y) => op(x!, y!))),
          runs,
        )
      })
    }
    for (const [name, op] of Object.entries(floatOps)) {
      test(`${name} of whole numbers equals cpu's`, () => {
        fc.assert(
          fc.property(pairOf('int32'), ([a, b]) => {
            fc.pre(name !== 'div' || !b.values.includes(0))
            expectSameAsCpu([a, b], (x, y) => op(x!, y!))
          }),
          runs,
        )
      })
    }
    for (const dtype of ['float32', 'int32', 'bool'] as const) {
      test(`comparisons of ${dtype} equal cpu's`, () => {
        fc.assert(
          fc.property(pairOf(dtype), ([a, b]) =>
            expectSameAsCpu([a, b], (x, y) =>
              [tf.equal, tf.notEqual, tf.less, tf.lessEqual, tf.greater, tf.greaterEqual].map(op => op(x!, y!)),
            ),
          ),
          runs,
        )
      })
    }
    test('logical operations equal cpu', () => {
      fc.assert(
        fc.property(pairOf('bool'), ([a, b]) =>
          expectSameAsCpu([a, b], (x, y) => [tf.logicalAnd(x!, y!), tf.logicalOr(x!, y!)]),
        ),
        runs,
      )
    })
    test('products of large whole numbers wrap as in JavaScript', () => {
      const a: Plain = { values: [123456789, -2147483648, 99999], shape: [3], dtype: 'int32' }
      const b: Plain = { values: [987654321, -1, 99999], shape: [3], dtype: 'int32' }
      expectSameAsCpu([a, b], (x, y) => tf.mul(x!, y!))
    })
    test('arrays too long for one thread equal cpu', () => {
      const long = (seed: number): Plain => ({
        values: Array.from({ length: 100_003 }, (_, i) => Math.sin(i * seed)),
        shape: [100_003],
        dtype: 'float32',
      })
      expectSameAsCpu([long(1), long(2)], (x, y) => [tf.add(x!, y!), tf.mul(x!, 3), tf.exp(x!), tf.sum(x!), tf.max(x!)])
    })
    test('shapes of six axes that do not join equal cpu', () => {
      const a: Plain = { values: Array.from({ length: 64 }, (_, i) => i), shape: [2, 2, 2, 2, 2, 2], dtype: 'float32' }
      const b: Plain = { values: [1, 2, 3, 4, 5, 6, 7, 8], shape: [2, 1, 2, 1, 2, 1], dtype: 'float32' }
      expectSameAsCpu([a, b], (x, y) => [tf.add(x!, y!), tf.transpose(x!, [5, 3, 1, 0, 4, 2])])
    })
  })

  describe('an operation on one tensor', () => {
    const ops: Record<string, (x: tf.Tensor) => tf.Tensor> = {
      ...{ neg: tf.neg, abs: tf.abs, square: tf.square, sqrt: tf.sqrt, rsqrt: tf.rsqrt, reciprocal: tf.reciprocal },
      ...{ exp: tf.exp, log: tf.log, sigmoid: tf.sigmoid, tanh: tf.tanh, erf: tf.erf, relu: tf.relu, relu6: tf.relu6 },
      ...{ elu: tf.elu, floor: tf.floor, ceil: tf.ceil, round: tf.round, sin: tf.sin, cos: tf.cos, log1p: tf.log1p },
      ...{ expm1: tf.expm1, sign: tf.sign, step: x => tf.step(x, 0.25), leakyRelu: x => tf.leakyRelu(x, 0.1) },
      ...{ clipByValue: x => tf.clipByValue(x, -0.5, 1.5), zerosLike: tf.zerosLike, onesLike: tf.onesLike },
    }
    for (const [name, op] of Object.entries(ops)) {
      test(`${name} equals cpu's, NaN and infinities included`, () => {
        fc.assert(
          fc.property(one(), x => {
            // Far outside the circle the sine of a float32 is that of another number in float64.
            fc.pre(!(name === 'sin' || name === 'cos') || x.values.every(value => !(Math.abs(value) > 1e4)))
            expectSameAsCpu([x], tensor => op(tensor!), 2e-6)
          }),
          runs,
        )
      })
    }
    test('exp reaches infinity where float32 does', () => {
      const x: Plain = { values: [88.3, 88.5, 88.7, 88.8, 100, -87, -200], shape: [7], dtype: 'float32' }
      expectSameAsCpu([x], tensor => tf.exp(tensor!), 1e-4)
    })
    for (const from of ['float32', 'int32', 'bool'] as const) {
      test(`casts from ${from} equal cpu's`, () => {
        fc.assert(
          fc.property(one(from), x =>
            expectSameAsCpu([x], tensor =>
              (['float32', 'int32', 'bool'] as const).map(dtype => tf.add(tf.cast(tensor!, dtype), 0)),
            ),
          ),
          runs,
        )
      })
    }
    test('a cast to int32 wraps and drops as in JavaScript', () => {
      const x: Plain = { values: [3e9, -3e9, 1e20, 2.9, -2.9], shape: [5], dtype: 'float32' }
      expectSameAsCpu([x], tensor => tf.cast(tensor!, 'int32'))
    })
    test('fill and oneHot equal cpu', () => {
      const ids: Plain = { values: [0, 2, -1, 7], shape: [2, 2], dtype: 'int32' }
      expectSameAsCpu([ids], x => [
        tf.fill([2, 3], 1.5),
        tf.fill([2], 7, 'int32'),
        tf.oneHot(x!, 3),
        tf.oneHot(x!, 3, 5, 2, 'float32'),
      ])
    })
  })

  describe('where', () => {
    for (const dtype of ['float32', 'int32'] as const) {
      test(`equals cpu's on ${dtype}`, () => {
        fc.assert(
          fc.property(
            shapes().chain(shape => fc.tuple(values(shape, 'bool'), values(shape, dtype), values(shape, dtype))),
            inputs => expectSameAsCpu(inputs, (condition, a, b) => tf.where(condition!, a!, b!)),
          ),
          runs,
        )
      })
    }
  })

  describe('a reduction', () => {
    const reducedWith = (dtype: Plain['dtype'], withSpecial: boolean): fc.Arbitrary<[Plain, number[], boolean]> =>
      shapes(0, 4, 1).chain(shape => fc.tuple(values(shape, dtype, withSpecial), axesOf(shape.length), fc.boolean()))
    for (const [name, op] of Object.entries({ sum: tf.sum, mean: tf.mean, prod: tf.prod, max: tf.max, min: tf.min })) {
      test(`${name} of floats equals cpu's over any axes`, () => {
        fc.assert(
          fc.property(reducedWith('float32', name === 'max' || name === 'min'), ([x, axes, keepDims]) =>
            expectSameAsCpu([x], tensor => op(tensor!, axes, keepDims), 1e-4),
          ),
          runs,
        )
      })
    }
    for (const dtype of ['int32', 'bool'] as const) {
      test(`sum of ${dtype} equals cpu's`, () => {
        fc.assert(
          fc.property(reducedWith(dtype, false), ([x, axes, keepDims]) =>
            expectSameAsCpu([x], tensor => tf.sum(tensor!, axes, keepDims)),
          ),
          runs,
        )
      })
    }
    test('of no elements equals cpu', () => {
      const empty: Plain = { values: [], shape: [2, 0, 3], dtype: 'float32' }
      expectSameAsCpu([empty], x => [tf.sum(x!, 1), tf.mean(x!, 1), tf.prod(x!, 1), tf.sum(x!), tf.sum(x!, 0)])
    })
    test('argMax and argMin equal cpu, along any axis', () => {
      fc.assert(
        fc.property(
          shapes(1, 4, 1).chain(shape => fc.tuple(values(shape, 'float32'), fc.nat(shape.length - 1))),
          ([x, axis]) => expectSameAsCpu([x], tensor => [tf.argMax(tensor!, axis), tf.argMin(tensor!, axis)]),
        ),
        runs,
      )
    })
    test('softmax and logSoftmax equal cpu', () => {
      fc.assert(
        fc.property(
          shapes(1, 3, 1).chain(shape => values(shape, 'float32', false)),
          x => expectSameAsCpu([x], tensor => [tf.softmax(tensor!), tf.logSoftmax(tensor!)]),
        ),
        runs,
      )
    })
    test('softmax of a hidden row is NaN, of a partly hidden one the rest', () => {
      const hidden = Number.NEGATIVE_INFINITY
      const x: Plain = { values: [hidden, hidden, 1, hidden, Number.NaN, 2], shape: [3, 2], dtype: 'float32' }
      expectSameAsCpu([x], tensor => tf.softmax(tensor!))
    })
  })

  describe('moving elements', () => {
    for (const dtype of ['float32', 'int32', 'bool'] as const) {
      test(`transpose of ${dtype} equals cpu's for any permutation`, () => {
        fc.assert(
          fc.property(
            shapes(1).chain(shape =>
              fc.tuple(values(shape, dtype), fc.shuffledSubarray([...shape.keys()], { minLength: shape.length })),
            ),
            ([x, perm]) => expectSameAsCpu([x], tensor => tf.transpose(tensor!, perm)),
          ),
          runs,
        )
      })
      test(`slice, reverse, tile and pad of ${dtype} equal cpu's`, () => {
        fc.assert(
          fc.property(
            shapes(1, 3, 1).chain(shape => {
              const perAxis = (max: (size: number) => number): fc.Arbitrary<number[]> =>
                fc.tuple(...shape.map(size => fc.nat(max(size)))) as fc.Arbitrary<number[]>
              return fc.tuple(
                values(shape, dtype),
                perAxis(size => size),
                perAxis(() => 2),
                axesOf(shape.length),
              )
            }),
            ([x, begin, counts, axes]) =>
              expectSameAsCpu([x], tensor => [
                tf.slice(tensor!, begin),
                tf.reverse(tensor!, axes),
                tf.tile(tensor!, counts),
                tf.pad(
                  tensor!,
                  counts.map((count, axis) => [count, axis]),
                  1,
                ),
              ]),
          ),
          runs,
        )
      })
      test(`concat, stack, split and unstack of ${dtype} equal cpu's`, () => {
        fc.assert(
          fc.property(
            shapes(1, 3, 1).chain(shape =>
              fc.tuple(values(shape, dtype), values(shape, dtype), fc.nat(shape.length - 1)),
            ),
            ([a, b, axis]) =>
              expectSameAsCpu([a, b], (x, y) => [
                tf.concat([x!, y!, x!], axis),
                tf.stack([x!, y!], axis),
                ...tf.split(x!, [1, x!.shape[axis]! - 1], axis),
                ...tf.unstack(x!, axis),
              ]),
          ),
          runs,
        )
      })
    }
    test('a strided slice equals cpu, backwards too', () => {
      fc.assert(
        fc.property(
          shapes(2, 2, 2).chain(shape => values(shape, 'float32')),
          fc.integer({ min: 1, max: 3 }),
          (x, step) =>
            expectSameAsCpu([x], tensor => [
              tf.stridedSlice(tensor!, [0, 1], tensor!.shape as [number, number], [step, 2]),
              tf.stridedSlice(tensor!, [-1, -1], [0, 0], [-step, -1]),
            ]),
        ),
        runs,
      )
    })
    test('gather and unsortedSegmentSum equal cpu', () => {
      fc.assert(
        fc.property(
          shapes(1, 3, 1).chain(shape =>
            fc.tuple(
              values(shape, 'float32', false),
              fc.nat(shape.length - 1),
              fc.array(fc.nat(shape[0]! - 1), { minLength: 0, maxLength: 9 }),
            ),
          ),
          ([x, axis, ids]) => {
            const at = (size: number): Plain => ({
              values: ids.map(id => id % size),
              shape: [ids.length],
              dtype: 'int32',
            })
            expectSameAsCpu([x, at(x.shape[axis]!)], (tensor, indices) =>
              tf.gather(tensor!, indices as tf.Tensor1D, axis),
            )
            const segments: Plain = {
              values: Array.from({ length: x.shape[0]! }, (_, i) => (i % 5) - 1),
              shape: [x.shape[0]!],
              dtype: 'int32',
            }
            expectSameAsCpu([x, segments], (tensor, s) => tf.unsortedSegmentSum(tensor!, s as tf.Tensor1D, 3))
          },
        ),
        runs,
      )
    })
    test('gather refuses an index outside the axis', () => {
      const [x, indices] = [tf.tensor1d([1, 2]), tf.tensor1d([2], 'int32')]
      expect(() => tf.gather(x, indices)).toThrow('GatherV2: the index value 2 is not in [0, 1]')
      tf.dispose([x, indices])
    })
  })

  describe('addN', () => {
    test('equals cpu for any number of terms', () => {
      fc.assert(
        fc.property(
          shapes().chain(shape => fc.array(values(shape, 'float32'), { minLength: 1, maxLength: 4 })),
          terms => expectSameAsCpu(terms, (...tensors) => tf.addN(tensors)),
        ),
        runs,
      )
    })
  })

  describe('matMul', () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 14 }), fc.constantFrom(1, 16, 33, 65, 130))
    test('equals cpu for any sizes and transposes', () => {
      fc.assert(
        fc.property(size, size, size, fc.boolean(), fc.boolean(), fc.nat(), (m, n, k, transposeA, transposeB, seed) => {
          const fill = (shape: number[], salt: number): Plain => ({
            values: Array.from({ length: shape[0]! * shape[1]! }, (_, i) => ((i * 7 + seed + salt) % 11) - 5),
            shape,
            dtype: 'float32',
          })
          const a = fill(transposeA ? [k, m] : [m, k], 1)
          const b = fill(transposeB ? [n, k] : [k, n], 2)
          expectSameAsCpu([a, b], (x, y) => tf.matMul(x!, y!, transposeA, transposeB), 0)
        }),
        { numRuns: 200 },
      )
    })
    test('sums deeper than one pass equal cpu', () => {
      const fill = (shape: number[]): Plain => ({
        values: Array.from({ length: shape[0]! * shape[1]! }, (_, i) => ((i * 31) % 7) - 3),
        shape,
        dtype: 'float32',
      })
      expectSameAsCpu([fill([29, 1000]), fill([1000, 37])], (a, b) => tf.matMul(a!, b!), 0)
    })
    test.each([
      [5, 70_001, false],
      [9, 33, false],
      [13, 16, false],
      [520, 301, false],
      [128, 3, true],
      [131, 9, true],
      [200, 1003, true],
    ])('a vector of %i times a matrix of %i columns equals cpu', (k, n, isTransposed) => {
      const fill = (shape: number[]): Plain => ({
        values: Array.from({ length: shape[0]! * shape[1]! }, (_, i) => ((i * 31) % 7) - 3),
        shape,
        dtype: 'float32',
      })
      const inputs = [fill([1, k]), fill(isTransposed ? [n, k] : [k, n]), { ...fill([1, n]), shape: [n] }]
      expectSameAsCpu(
        inputs,
        (x, y, bias) =>
          tf.fused.matMul({
            a: x as tf.Tensor2D,
            b: y as tf.Tensor2D,
            transposeB: isTransposed,
            bias,
            activation: 'relu',
          }),
        0,
      )
    })
    test.each([
      [64, 96, 40, false, false],
      [33, 1000, 70, true, false],
      [70, 300, 33, false, true],
      [300, 129, 31, true, true],
    ])('%ix%i · %i is as exact as sums in float32', (m, k, n, transposeA, transposeB) => {
      const a = tf.randomNormal<tf.Rank.R2>(transposeA ? [k, m] : [m, k], 0, 1, 'float32', 1)
      const b = tf.randomNormal<tf.Rank.R2>(transposeB ? [n, k] : [k, n], 0, 1, 'float32', 2)
      const [x, y] = [a.dataSync(), b.dataSync()]
      const got = tf.matMul(a, b, transposeA, transposeB).dataSync()
      let worst = 0
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let [sum, magnitude] = [0, 0]
          for (let p = 0; p < k; p++) {
            const term = x[transposeA ? p * m + i : i * k + p]! * y[transposeB ? j * k + p : p * n + j]!
            sum += term
            magnitude += Math.abs(term)
          }
          worst = Math.max(worst, Math.abs(got[i * n + j]! - sum) / magnitude)
        }
      }
      expect(worst).toBeLessThan(4e-7)
      tf.disposeVariables()
    })
    test('infinite, huge and no numbers stay what they are, and in their rows', () => {
      const [m, k, n] = [40, 64, 48]
      const rows = tf.buffer([m, k], 'float32', new Float32Array(m * k).fill(1))
      rows.set(Number.POSITIVE_INFINITY, 5, 3)
      rows.set(Number.NaN, 6, 3)
      rows.set(3e38, 7, 3)
      const product = tf.matMul(rows.toTensor() as tf.Tensor2D, tf.fill<tf.Rank.R2>([k, n], 1.0625))
      const column = product.slice([0, n - 1], [m, 1]).dataSync()
      expect([column[4], column[5], column[6], column[7]]).toEqual([68, Infinity, Number.NaN, Math.fround(3.1875e38)])
      expect(column.filter(value => value === 68)).toHaveLength(m - 3)
      tf.disposeVariables()
    })
    test('a batch equals its products one by one, its axes broadcast', () => {
      const a = tf.randomUniform([2, 1, 3, 4], -1, 1, 'float32', 1)
      const b = tf.randomUniform([1, 3, 4, 5], -1, 1, 'float32', 2)
      const c = tf.matMul(a, b)
      expect(c.shape).toEqual([2, 3, 3, 5])
      for (let i = 0; i < 2; i++) {
        for (let j = 0; j < 3; j++) {
          const left = a.slice([i, 0, 0, 0], [1, 1, 3, 4]).reshape<tf.Tensor2D>([3, 4])
          const right = b.slice([0, j, 0, 0], [1, 1, 4, 5]).reshape<tf.Tensor2D>([4, 5])
          const one = tf.matMul(left, right)
          expect(c.slice([i, j, 0, 0], [1, 1, 3, 5]).dataSync()).toEqual(one.dataSync())
        }
      }
      tf.disposeVariables()
    })
    test('with a bias and an activation equals cpu', () => {
      const activations = ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu'] as const
      fc.assert(
        fc.property(floats(12, false), floats(20, false), floats(5, false), (a, b, bias) => {
          const inputs: Plain[] = [
            { values: a, shape: [3, 4], dtype: 'float32' },
            { values: b, shape: [4, 5], dtype: 'float32' },
            { values: bias, shape: [5], dtype: 'float32' },
            { values: [0.5], shape: [], dtype: 'float32' },
          ]
          expectSameAsCpu(inputs, (x, y, row, scalar) =>
            activations.flatMap(activation =>
              [row!, scalar!].map(added =>
                tf.fused.matMul({ a: x as tf.Tensor2D, b: y as tf.Tensor2D, bias: added, activation }),
              ),
            ),
          )
        }),
        { numRuns: 20 },
      )
    })
    test('of whole numbers equals cpu', () => {
      const a: Plain = { values: [1, 2, 3, 4], shape: [2, 2], dtype: 'int32' }
      expectSameAsCpu([a, a], (x, y) => tf.matMul(x!, y!))
    })
    test('refuses inner sizes that differ', () => {
      const [a, b] = [tf.zeros<tf.Rank.R2>([2, 3]), tf.zeros<tf.Rank.R2>([4, 5])]
      expect(() => tf.matMul(a, b)).toThrow(
        'Error in matMul: inner shapes (3) and (4) of Tensors with shapes 2,3 and 4,5 ' +
          'and transposeA=false and transposeB=false must match.',
      )
      tf.dispose([a, b])
    })
  })
})
