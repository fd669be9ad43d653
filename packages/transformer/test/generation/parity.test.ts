import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { tf } from '@heed/tensor-backend'
import {
  AutoModelForCausalLM,
  AutoModelForSeq2SeqLM,
  bartArchitectures,
  type CausalLm,
  computeTransitionScores,
  type GenerateOptions,
  type GenerateOutput,
  gpt2Architectures,
  registerArchitecture,
  type Seq2SeqLm,
  t5Architectures,
} from '@heed/transformer'
import { testOnBackends } from '@heed/transformer/testing'
import { beforeAll, expect } from 'vitest'

/** A generation of transformers, by tooling/oracle/generation.py; `null` stands for -Infinity. */
interface Case extends Partial<Pick<GenerateOutput, 'sequencesScores' | 'beamIndices'>> {
  name: string
  inputs: { inputIds: number[][]; attentionMask?: number[][] }
  options: GenerateOptions
  ids: number[][]
  /** Of the first row or beam. */
  scores?: (number | null)[][]
  logits?: number[][]
  transitionScores?: (number | null)[][]
  normalizedScores?: (number | null)[][]
  assistant?: string
}

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url))
const models: { model: string; cases: Case[] }[] = JSON.parse(readFileSync(`${fixtures}/generation.json`, 'utf8'))
const tolerance = { atol: 2e-4, rtol: 1e-3 }

beforeAll(() => registerArchitecture(...gpt2Architectures, ...bartArchitectures, ...t5Architectures))

function load(folder: string): Promise<CausalLm | Seq2SeqLm> {
  const auto = folder.startsWith('gpt2') ? AutoModelForCausalLM : AutoModelForSeq2SeqLM
  return auto.fromPretrained(fixtures + folder) as Promise<CausalLm | Seq2SeqLm>
}

const numbers = (rows: readonly ArrayLike<number | null>[]): Float32Array =>
  Float32Array.from(rows.flatMap(row => Array.from(row, value => value ?? Number.NEGATIVE_INFINITY)))

function expectOutput(output: GenerateOutput, wanted: Case): void {
  if (wanted.sequencesScores) expect(output.sequencesScores).toBeAllclose(wanted.sequencesScores, tolerance)
  if (wanted.beamIndices) expect(output.beamIndices).toEqual(wanted.beamIndices)
  for (const key of ['scores', 'logits'] as const) {
    const rows = wanted[key]
    if (!rows) continue
    expect(output[key]!.length).toBe(rows.length)
    expect(numbers(output[key]!.map(step => step[0]!))).toBeAllclose(numbers(rows), tolerance)
  }
  for (const [key, normalizeLogits] of [
    ['transitionScores', false],
    ['normalizedScores', true],
  ] as const) {
    const rows = wanted[key]
    if (rows)
      expect(numbers(computeTransitionScores(output, { normalizeLogits }))).toBeAllclose(numbers(rows), tolerance)
  }
}

async function generatesLikeTransformers(folder: string, cases: readonly Case[]): Promise<void> {
  const model = await load(folder)
  const assistants = new Map<string, CausalLm | Seq2SeqLm>()
  for (const { assistant } of cases) if (assistant) assistants.set(assistant, await load(assistant))
  const before = tf.memory().numTensors
  for (const wanted of cases) {
    const { inputIds, ...masks } = wanted.inputs
    const output = await model.generate(inputIds, {
      ...masks,
      ...wanted.options,
      ...(wanted.assistant && { assistantModel: assistants.get(wanted.assistant) }),
      returnDictInGenerate: true,
      outputScores: true,
      outputLogits: true,
    })
    expect(output.sequences, wanted.name).toEqual(wanted.ids)
    expectOutput(output, wanted)
    expect(tf.memory().numTensors, wanted.name).toBe(before)
  }
  model.dispose()
  for (const assistant of assistants.values()) assistant.dispose()
}

for (const { model, cases } of models) {
  const title = `${model} generates the ids and scores of transformers with each setting`
  testOnBackends(title, () => generatesLikeTransformers(model, cases), ['native', 'wasm'])
}
