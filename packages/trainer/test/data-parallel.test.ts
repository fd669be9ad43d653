import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readSafetensors, tf } from '@heed/tensor-backend'
import { beforeAll, describe, expect, test } from 'vitest'
import { lastCheckpoint } from '../src/run-folder.ts'
import { temporaryFolder } from './temporary-folder.ts'

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const hasMpi = spawnSync('mpirun', ['--version']).status === 0
const why = hasMpi ? '' : ' (skipped: there is no mpirun)'

interface Outcome {
  code: number | null
  losses: number[]
  evalLoss: number
  size: number
  output: string
}

/** A training run as one process, or as several under mpirun. */
function train(processes: number, outputDir: string, settings: object): Outcome {
  const script = ['--conditions=@heed/source', '--import', path('../../../tooling/scripts/typescript-hooks.mjs')]
  const node = [process.execPath, ...script, path('child/train-parallel.ts'), outputDir, JSON.stringify(settings)]
  const mpirun = ['mpirun', '--allow-run-as-root', '--oversubscribe', '-np', String(processes)]
  const [command, ...args] = processes > 1 ? [...mpirun, ...node] : node
  const { status, stdout, stderr } = spawnSync(command!, args, { encoding: 'utf8', timeout: 300_000 })
  const line = stdout.split('\n').find(each => each.startsWith('{')) ?? '{}'
  return { code: status, output: stdout + stderr, ...JSON.parse(line) }
}

const weights = async (folder: string): Promise<Record<string, number[]>> => {
  const tensors = await readSafetensors(`${folder}/model.safetensors`)
  const values = Object.entries(tensors).map(([name, tensor]) => [name, Array.from(tensor.dataSync())] as const)
  tf.dispose(tensors)
  return Object.fromEntries(values)
}

beforeAll(async () => {
  await tf.setBackend('cpu')
})

describe.skipIf(!hasMpi)(`two processes under mpirun${why}`, () => {
  const steps = { maxSteps: 12, gradientAccumulationSteps: 2 }
  const [alone, together, sharded] = [temporaryFolder(), temporaryFolder(), temporaryFolder()]
  let expected: Outcome
  beforeAll(() => {
    expected = train(1, alone, { ...steps, perDeviceTrainBatchSize: 8 })
  }, 300_000)

  test('give the losses and the weights of one with the whole batch', async () => {
    const { code, losses, evalLoss, size, output } = train(2, together, steps)
    expect(code, output).toBe(0)
    expect(size).toBe(2)
    expect(losses).toHaveLength(12)
    expect(losses).toBeAllclose(expected.losses, { atol: 1e-5, rtol: 1e-5 })
    expect(evalLoss).toBeCloseTo(expected.evalLoss, 5)
    const [ours, theirs] = [await weights(`${together}/checkpoint-12`), await weights(`${alone}/checkpoint-12`)]
    for (const [name, values] of Object.entries(theirs)) expect(ours[name], name).toBeAllclose(values, { atol: 1e-5 })
    expect(readFileSync(`${together}/metrics.jsonl`, 'utf8').trim().split('\n')).toHaveLength(13)
  }, 300_000)

  test('share out the optimizer, and go on from its shards after one was killed', async () => {
    const broken = train(2, sharded, { ...steps, shardOptimizer: true, crashAt: 8 })
    expect(broken.code).not.toBe(0)
    expect(await lastCheckpoint(sharded)).toBe(`${sharded}/checkpoint-5`)
    const shards = readdirSync(`${sharded}/checkpoint-5`).filter(name => name.startsWith('optimizer'))
    expect(shards).toEqual(['optimizer-00001-of-00002.safetensors', 'optimizer-00002-of-00002.safetensors'])
    const { code, losses, output } = train(2, sharded, { ...steps, shardOptimizer: true })
    expect(code, output).toBe(0)
    expect(losses).toBeAllclose(expected.losses, { atol: 1e-5, rtol: 1e-5 })
  }, 600_000)

  test('follow their common evaluations, of smoothed labels, with one learning rate', () => {
    const following = {
      ...{ maxSteps: 10, evalStrategy: 'steps', evalSteps: 1, labelSmoothingFactor: 0.1, learningRate: 0.1 },
      ...{ lrSchedulerType: 'reduce_lr_on_plateau', lrSchedulerKwargs: { patience: 0, factor: 0.5, threshold: 0.05 } },
    }
    const [single, both] = [temporaryFolder(), temporaryFolder()]
    const one = train(1, single, { ...following, perDeviceTrainBatchSize: 8 })
    const two = train(2, both, following)
    expect(two.code, two.output).toBe(0)
    expect(two.losses).toBeAllclose(one.losses, { atol: 1e-5, rtol: 1e-5 })
    expect(two.evalLoss).toBeCloseTo(one.evalLoss, 5)
    const rates = (folder: string): number[] =>
      readFileSync(`${folder}/metrics.jsonl`, 'utf8')
        .split('\n')
        .flatMap(line => (line ? (JSON.parse(line).learning_rate ?? []) : []))
    expect(rates(both)).toEqual(rates(single))
    expect(new Set(rates(both)).size).toBeGreaterThan(1)
  }, 300_000)
})
