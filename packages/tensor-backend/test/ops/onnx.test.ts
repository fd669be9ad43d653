import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { tf } from '@heed/tensor-backend'
import { describe, expect, test } from 'vitest'
import { expectNoLeak, onEachBackend } from './conformance.ts'
import { type OnnxNode, operators } from './onnx.ts'

interface StoredTensor {
  name: string
  dtype: string
  dims: number[]
  data: Array<number | boolean | string>
}

interface OnnxTest {
  nodes: [OnnxNode]
  cases: Array<{ inputs: StoredTensor[]; outputs: StoredTensor[] }>
}

const folder = new URL('../fixtures/onnx/', import.meta.url)
const families = readdirSync(folder).filter(name => name.endsWith('.json.gz'))
const others: Record<string, string> = JSON.parse(readFileSync(new URL('others.json', folder), 'utf8'))

function read(family: string): Record<string, OnnxTest> {
  return JSON.parse(gunzipSync(readFileSync(fileURLToPath(new URL(family, folder)))).toString('utf8'))
}

function numbers({ data }: StoredTensor): number[] {
  return data.map(Number)
}

function toTensor(stored: StoredTensor): tf.Tensor {
  const { dtype, dims } = stored
  if (dtype === 'bool') return tf.tensor(Uint8Array.from(numbers(stored)), dims, 'bool')
  const isWhole = dtype.startsWith('int')
  return tf.tensor(numbers(stored), dims, isWhole ? 'int32' : 'float32')
}

onEachBackend(backend => {
  expectNoLeak()

  describe.each(families)('ONNX %s', family => {
    // Stock tfjs broadcasts the batches of a matrix product wrongly.
    const isStock = backend === 'cpu' || backend === 'webgpu'
    const tests = Object.entries(read(family)).filter(([name]) => !isStock || name !== 'matmul_bcast')
    test.each(tests)('%s gives the numbers of ONNX', async (_, { nodes: [node], cases }) => {
      for (const { inputs, outputs } of cases) {
        const results = tf.tidy(() => {
          // Fresh tensors, whose values an operator can read at once on every backend.
          const byName = new Map(inputs.map(stored => [stored.name, toTensor(stored)]))
          const tensors = node.inputs.map(name => byName.get(name))
          return operators[node.op]!(tensors, node.attrs)
        })
        let compared = 0
        for (const [i, expected] of outputs.entries()) {
          // An operator with one output has it under any name; outputs that nothing here returns are left out.
          const actual = results[expected.name] ?? results[i] ?? (i === 0 ? Object.values(results)[0] : undefined)
          if (!actual) continue
          const isHalf = expected.dtype === 'float16'
          expect(actual.shape).toEqual(expected.dims)
          const tolerance = { atol: isHalf ? 2e-3 : 2e-6, rtol: isHalf ? 2e-3 : 1e-5 }
          expect(await actual.data()).toBeAllclose(numbers(expected), tolerance)
          compared++
        }
        expect(compared).toBeGreaterThan(0)
        tf.dispose(results)
      }
    })
  })
})

describe('ONNX tests that are left out', () => {
  for (const [name, reason] of Object.entries(others)) test.skip(`${name}: ${reason}`, () => {})
})
