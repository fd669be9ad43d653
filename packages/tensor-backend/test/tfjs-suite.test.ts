import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'

type Failures = Record<string, string[]>

/** Runs the suite on a backend, in a process of its own, and gives the messages of each test's failures. */
function runSuite(backend: string): Promise<Failures> {
  const file = (name: string): string => fileURLToPath(new URL(`tfjs-suite/${name}`, import.meta.url))
  return new Promise((resolve, reject) => {
    fork(file('run.ts'), [backend], {
      execArgv: ['--conditions=@heed/source', '--import', file('register.mjs')],
      stdio: 'ignore',
    })
      .on('message', message => resolve(message as Failures))
      .on('error', reject)
      .on('exit', code => reject(new Error(`the suite on ${backend} ended with code ${code} and no result`)))
  })
}

/** tfjs-core registers these two tests for a backend that is named cpu only. */
const isOfCpuAlone = (name: string): boolean => name.startsWith('Switching cpu backends')

describe('the test suite of tfjs-core', () => {
  let passedOnCpu: string[]
  beforeAll(async () => {
    const failures = await runSuite('cpu')
    passedOnCpu = Object.keys(failures).filter(name => failures[name]!.length === 0 && !isOfCpuAlone(name))
  }, 300_000)

  test.each(['native', 'wasm'])(
    'passes on %s wherever it passes on the cpu backend of tfjs',
    async backend => {
      const failures = await runSuite(backend)
      const failed = passedOnCpu.filter(name => failures[name]?.length !== 0)
      console.info(`tfjs-core on ${backend}: ${passedOnCpu.length - failed.length} of ${passedOnCpu.length} passed`)
      expect(failed.map(name => `${name}: ${failures[name]?.[0] ?? 'it did not run'}`)).toEqual([])
      expect(passedOnCpu.length).toBeGreaterThan(4000)
    },
    300_000,
  )
})
