import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { init } from '@heed/tensor-backend'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../../..', import.meta.url))
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
const best = await init({ backend: 'native' }).then(
  report => report.instructionSet,
  () => 'none',
)
// From the best that there is on each kind of machine to the one that is everywhere; AVX-512 named is without AMX tiles.
const smaller = { avx512: ['avx512', 'avx2', 'plain'], avx2: ['plain'], neon: ['plain'] }[best] ?? []

test.runIf(smaller.length > 0).each(smaller)(
  'the operations give the same numbers with the instruction set %s',
  instructionSet => {
    const files = [
      'ops/pytorch',
      'ops/composed',
      'ops/attention',
      'ops/packed-linear',
      'ops/quantized',
      'files/read-floats',
      'files/quantize',
    ].map(name => `packages/tensor-backend/test/${name}.test.ts`)
    // One process for all files: they share the backend, and its import is what takes longest.
    const args = [vitest, 'run', '--no-isolate', '-t', 'on native', ...files]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: root,
      env: { ...process.env, HEED_INSTRUCTION_SET: instructionSet, VITEST_MAX_WORKERS: '1' },
      encoding: 'utf8',
    })
    expect(status, stdout + stderr).toBe(0)
  },
  300_000,
)
