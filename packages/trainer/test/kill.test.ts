import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'
import { hash } from '../src/random.ts'
import { lastCheckpoint } from '../src/run-folder.ts'
import { smallRun } from './child/small-run.ts'
import { temporaryFolder } from './temporary-folder.ts'

beforeAll(async () => {
  await tf.setBackend('cpu') // as in the child
})

const hooks = fileURLToPath(new URL('../../../tooling/scripts/typescript-hooks.mjs', import.meta.url))
const path = (name: string): string => fileURLToPath(new URL(`./child/${name}`, import.meta.url))

interface Training {
  child: ChildProcess
  /** What it has printed so far. */
  output(): string
}

/** A training process of its own. */
function startTraining(outputDir: string): Training {
  const args = ['--conditions=@heed/source', '--import', hooks, path('train.ts'), outputDir]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  child.stdout!.on('data', data => {
    text += data
  })
  return { child, output: () => text }
}

/** Waits until it has saved that many checkpoints. */
async function untilSaved(count: number, { child, output }: Training): Promise<void> {
  while (child.exitCode === null && output().split('checkpoint-').length <= count) {
    await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
  }
}

/** `HEED_KILL_ROUNDS=50` takes as many moments as the full check. */
const rounds = Number(process.env.HEED_KILL_ROUNDS ?? 3)

test(
  'kill -9 at any moment leaves a whole checkpoint, from which the run goes on as if nothing had been',
  async () => {
    const [killed, whole] = [temporaryFolder(), temporaryFolder()]
    for (let round = 0; round < rounds; round++) {
      const training = startTraining(killed)
      await untilSaved(4, training)
      // Some moment within the next checkpoints; each takes a few milliseconds to write.
      await new Promise(resolve => setTimeout(resolve, hash(11, round) % 20))
      training.child.kill('SIGKILL')
      await once(training.child, 'exit')
    }
    const steps = Number((await lastCheckpoint(killed))!.split('-').at(-1)) + 3
    expect(steps).toBeGreaterThanOrEqual(rounds * 4 + 3)
    expect(await smallRun(killed, steps)).toMatchObject({ globalStep: steps, isInterrupted: false })
    await smallRun(whole, steps)
    for (const name of ['model', 'optimizer']) {
      const bytes = (folder: string): Buffer => readFileSync(`${folder}/checkpoint-${steps}/${name}.safetensors`)
      expect(bytes(killed).equals(bytes(whole))).toBe(true)
    }
    expect(readdirSync(killed).sort()).toEqual(
      [`checkpoint-${steps - 1}`, `checkpoint-${steps}`, 'metrics.jsonl', 'report.html'].sort(),
    )
  },
  60_000 * rounds,
)

test('a folder half-written when the process died is cleared away, and one pushed aside comes back', async () => {
  const folder = temporaryFolder()
  await smallRun(folder, 2)
  mkdirSync(`${folder}/tmp-checkpoint-3`)
  writeFileSync(`${folder}/tmp-checkpoint-3/model.safetensors`, 'half')
  writeFileSync(`${folder}/.report.html.${randomUUID()}.tmp`, 'half')
  renameSync(`${folder}/checkpoint-2`, `${folder}/tmp-replaced-checkpoint-2`)
  expect(await smallRun(folder, 2)).toMatchObject({ globalStep: 2, isInterrupted: false })
  expect(readdirSync(folder).sort()).toEqual(['checkpoint-1', 'checkpoint-2', 'metrics.jsonl', 'report.html'])
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s finishes the step, saves, and ends the run cleanly',
  async signal => {
    const folder = temporaryFolder()
    const training = startTraining(folder)
    await untilSaved(3, training)
    training.child.kill(signal)
    const [code] = await once(training.child, 'close')
    expect(code).toBe(0)
    const { globalStep, isInterrupted } = JSON.parse(training.output().trim().split('\n').at(-1)!)
    expect(isInterrupted).toBe(true)
    expect(await lastCheckpoint(folder)).toBe(`${folder}/checkpoint-${globalStep}`)
    expect(readdirSync(folder)).not.toContain('.heed-lock')
  },
  120_000,
)
