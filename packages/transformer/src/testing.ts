/**
 * The conformance suite of an architecture, for vitest: everything a model must do, checked against what HF's class of the
 * same name computed. Call it in a test file; it registers the tests.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BackendName, init, isHeedError, readSafetensors, tf } from '@heed/tensor-backend'
import { describe, expect, type TestContext, test } from 'vitest'
import type { GenerateOptions } from './generation/plan.ts'
import { type LoadOptions, loadPretrained, readConfig } from './loading/from-pretrained.ts'
import { CausalLm, type CausalLmOutput, type PretrainedModel } from './model.ts'
import type { Architecture } from './registry.ts'

/** What a fixture folder holds in `expected.json`: keys name tensors of `expected.safetensors`. */
interface Expected {
  architecture: string
  atol: number
  rtol: number
  cases: ForwardCase[]
  generation?: GenerationCase[]
}

interface ForwardCase {
  name: string
  inputs: Record<string, string>
  outputs: Record<string, string | string[]>
  grads?: Record<string, string>
}

interface GenerationCase {
  name: string
  inputs: { inputIds: number[][]; attentionMask?: number[][] }
  options: GenerateOptions
  ids: number[][]
}

export interface ArchitectureTest {
  /** Title of the tests. */
  name: string
  /** Where HF's class of each name is made here. */
  architectures: readonly Architecture[]
  /** The folder of config.json, model.safetensors, expected.json and expected.safetensors. */
  fixture: URL
  backends?: readonly BackendName[]
}

type Values = Record<string, tf.Tensor | tf.Tensor[] | undefined>

/** A model as the suite calls it: any inputs by name, any outputs by name. */
type TestedModel = PretrainedModel & { forward(inputs: Record<string, unknown>): Values }

/** Backends that a test runs on by default: those of Node. */
const nodeBackends: readonly BackendName[] = ['native', 'wasm', 'cpu']

async function useBackend(backend: BackendName, { skip }: TestContext): Promise<void> {
  try {
    await init({ backend })
  } catch (error) {
    if (isHeedError(error) && error.code === 'HEED_BACKEND_UNAVAILABLE') skip(error.message)
    throw error
  }
}

/** Registers a test for each backend; it is skipped, with the reason, where the backend cannot run. */
export function testOnBackends(
  title: string,
  run: (context: TestContext) => void | Promise<void>,
  backends: readonly BackendName[] = nodeBackends,
): void {
  for (const backend of backends) {
    test(`${title}, on ${backend}`, async context => {
      await useBackend(backend, context)
      await run(context)
    })
  }
}

/** Registers the tests of one architecture on one fixture, for every backend that can run here. */
export function testArchitecture({ name, architectures, fixture, backends = nodeBackends }: ArchitectureTest): void {
  const folder = fileURLToPath(fixture).replace(/\/$/, '')

  async function load(options: LoadOptions = {}, from: string = folder): Promise<TestedModel> {
    const { config } = await readConfig(from)
    const architecture = (config.architectures as string[])[0]
    const entry = architectures.find(candidate => candidate.architecture === architecture)
    if (!entry) throw new Error(`${name}: no architecture is called ${architecture}`)
    return (await loadPretrained(from, entry.load, options)) as TestedModel
  }

  async function readExpected(): Promise<{ expected: Expected; tensors: Record<string, tf.Tensor> }> {
    const expected: Expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'))
    return { expected, tensors: await readSafetensors(join(folder, 'expected.safetensors')) }
  }

  const check = (title: string, run: () => Promise<void>): void => testOnBackends(title, run, backends)

  describe(name, () => {
    check('forward passes, losses and gradients are those of transformers', async () => {
      const { expected, tensors } = await readExpected()
      const model = await load()
      const before = tf.memory().numTensors
      for (const forward of expected.cases) checkForward(model, forward, expected, tensors)
      expect(tf.memory().numTensors).toBe(before)
      model.dispose()
      tf.dispose(tensors)
    })

    check('generated ids are those of transformers', async () => {
      const { expected, tensors } = await readExpected()
      tf.dispose(tensors)
      const model = await load()
      const before = tf.memory().numTensors
      for (const { name: title, inputs, options, ids } of expected.generation ?? []) {
        const { inputIds, attentionMask } = inputs
        const generated = await (model as unknown as CausalLm).generate(inputIds, { attentionMask, ...options })
        expect(generated, title).toEqual(ids)
      }
      expect(tf.memory().numTensors).toBe(before)
      model.dispose()
    })

    check('token by token or by drafts it computes what one pass computes, and no token sees a later one', async () => {
      const { expected, tensors } = await readExpected()
      const model = await load()
      const ids = expected.cases[0]!.inputs.inputIds!
      if (model instanceof CausalLm) {
        const rows = (tensors[ids] as tf.Tensor2D).arraySync()
        checkCache(model, rows, expected)
        checkLastLogits(model, rows, expected)
        await checkDrafts(model, rows)
      }
      model.dispose()
      tf.dispose(tensors)
    })

    check('what it saves loads again, byte for byte', async () => {
      const [first, second] = await Promise.all([temporaryFolder(), temporaryFolder()])
      try {
        const model = await load()
        await model.savePretrained(first)
        const again = await load({}, first)
        await again.savePretrained(second)
        for (const file of ['model.safetensors', 'config.json', 'generation_config.json']) {
          expect(await readFile(join(second, file))).toEqual(await readFile(join(first, file)))
        }
        const state = again.stateDict()
        for (const [key, parameter] of model.namedParameters()) {
          expect(state.get(key)!.dataSync()).toEqual(parameter.dataSync())
        }
        model.dispose()
        again.dispose()
      } finally {
        await Promise.all([rm(first, { recursive: true }), rm(second, { recursive: true })])
      }
    })
  })
}

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'heed-architecture-'))
}

function checkForward(
  model: TestedModel,
  { name, inputs, outputs, grads = {} }: ForwardCase,
  tolerance: Expected,
  tensors: Record<string, tf.Tensor>,
): void {
  const given = Object.fromEntries(Object.entries(inputs).map(([key, tensor]) => [key, tensors[tensor]]))
  tf.tidy(() => {
    const found = model.forward({ ...given, outputHiddenStates: true, outputAttentions: true })
    for (const [key, wanted] of Object.entries(outputs)) {
      const list = typeof wanted === 'string' ? [wanted] : wanted
      const values = found[key]
      const ours = values === undefined ? [] : Array.isArray(values) ? values : [values]
      expect(ours.length, `${name}: number of ${key}`).toBe(list.length)
      for (const [i, value] of ours.entries()) {
        const theirs = tensors[list[i]!]!
        expect(value.shape, `${name}: shape of ${key} ${i}`).toEqual(theirs.shape)
        const [a, b] = [value, theirs].map(tensor => withoutPadding(tensor, given.attentionMask).dataSync())
        expectClose(`${name}: ${key} ${i}`, a!, b!, tolerance)
      }
    }
  })
  if (Object.keys(grads).length === 0) return
  tf.tidy(() => {
    const parameters = model.stateDict()
    const { grads: found } = tf.variableGrads(() => model.forward(given).loss as tf.Scalar)
    for (const [key, tensor] of Object.entries(grads)) {
      const gradient = found[parameters.get(key)!.name]!
      expectClose(`${name}: gradient of ${key}`, gradient.dataSync(), tensors[tensor]!.dataSync(), tolerance)
    }
  })
}

/** 0 in the rows of padding, which mean nothing: axis 1 of [batch, seqLen, ...], axis 2 of [batch, numHeads, seqLen, keyLen]. */
function withoutPadding(value: tf.Tensor, mask: tf.Tensor | undefined): tf.Tensor {
  if (!mask) return value
  const [batch, seqLen] = mask.shape as [number, number]
  let kept = value
  for (const axis of [1, 2]) {
    if (value.rank <= axis + 1 || value.shape[0] !== batch || value.shape[axis] !== seqLen) continue
    const shape = value.shape.map((_, i) => (i === 0 ? batch : i === axis ? seqLen : 1))
    kept = tf.mul(kept, mask.toFloat().reshape(shape))
  }
  return kept
}

function expectClose(
  what: string,
  actual: ArrayLike<number>,
  wanted: ArrayLike<number>,
  { atol, rtol }: { atol: number; rtol: number },
): void {
  expect(actual.length, `${what}: length`).toBe(wanted.length)
  for (let i = 0; i < wanted.length; i++) {
    const [a, w] = [actual[i]!, wanted[i]!]
    if (Math.abs(a - w) <= atol + rtol * Math.abs(w)) continue
    throw new Error(`${what}: element ${i} is ${a}, expected ${w} within atol ${atol}, rtol ${rtol}`)
  }
}

/** Token by token, in a cache that grows and in one that has room for all, the logits are those of one pass. */
function checkCache(model: CausalLm, ids: number[][], tolerance: Expected): void {
  for (const capacity of [2, ids[0]!.length]) checkCacheOf(capacity, model, ids, tolerance)
}

function checkCacheOf(capacity: number, model: CausalLm, ids: number[][], tolerance: Expected): void {
  const before = tf.memory().numTensors
  const cache = model.createCache(capacity)
  tf.tidy(() => {
    const whole = model.forward({ inputIds: ids }).logits // [batch, seqLen, vocabSize]
    const [batch, seqLen, vocabSize] = whole.shape as [number, number, number]
    const steps: CausalLmOutput[] = []
    for (let i = 0; i < seqLen; i++) {
      steps.push(model.forward({ inputIds: ids.map(row => [row[i]!]), cache }))
      const prefix = tf.slice(whole, [0, i, 0], [batch, 1, vocabSize])
      expectClose(`token ${i}`, steps[i]!.logits.dataSync(), prefix.dataSync(), tolerance)
    }
  })
  cache.dispose()
  expect(tf.memory().numTensors).toBe(before)
}

/** Logits of the last positions alone are those that a whole pass ends in, and the cache holds all positions. */
function checkLastLogits(model: CausalLm, ids: number[][], tolerance: Expected): void {
  const begin = ids.map(row => row.slice(0, -1))
  const end = ids.map(row => row.slice(-1))
  tf.tidy(() => {
    const whole = model.forward({ inputIds: ids }).logits // [batch, seqLen, vocabSize]
    const [batch, seqLen, vocabSize] = whole.shape as [number, number, number]
    const cache = model.createCache(seqLen)
    const last = model.forward({ inputIds: ids, logitsToKeep: 2 }).logits
    expectClose(
      'last two',
      last.dataSync(),
      tf.slice(whole, [0, seqLen - 2, 0], [batch, 2, vocabSize]).dataSync(),
      tolerance,
    )
    tf.dispose(model.forward({ inputIds: begin, cache, logitsToKeep: 1 }))
    const next = model.forward({ inputIds: end, cache }).logits
    expectClose(
      'the next',
      next.dataSync(),
      tf.slice(whole, [0, seqLen - 1, 0], [batch, 1, vocabSize]).dataSync(),
      tolerance,
    )
    cache.dispose()
  })
}

/** Drafts, right and wrong ones, leave the text as it is. */
async function checkDrafts(model: CausalLm, ids: number[][]): Promise<void> {
  const before = tf.memory().numTensors
  const prompt = [[...ids[0]!, ...ids[0]!.slice(0, 3)]] // ends in what was there before
  const options = { maxNewTokens: 12, attentionMask: [prompt[0]!.map(() => 1)], eosTokenId: -1 }
  const plain = await model.generate(prompt, options)
  expect(await model.generate(prompt, { ...options, promptLookupNumTokens: 3 })).toEqual(plain)
  expect(await model.generate(prompt, { ...options, assistantModel: model })).toEqual(plain)
  expect(tf.memory().numTensors).toBe(before)
}
