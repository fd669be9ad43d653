// Runs tfjs-core's own test suite on the backend named as the first argument, in a process of its own that sends the
// messages of each test's failures, by test name, to the process that forked it.
import { createRequire } from 'node:module'
import { type BackendName, init } from '@heed/tensor-backend'

interface SpecResult {
  fullName: string
  status: string
  failedExpectations: Array<{ message: string }>
}

const require = createRequire(import.meta.url)
globalThis.require = require // what tfjs's tests load jasmine and Node's modules with
const jasmine = require('jasmine-core').boot()

const backendName = process.argv[2] as BackendName
await init({ backend: backendName })
const { setTestEnvs } = await import('@tensorflow/tfjs-core/dist/jasmine_util.js')
setTestEnvs([{ name: 'backend', backendName, isDataSync: true }])

const failures: Record<string, string[]> = {}
const env = jasmine.getEnv()
env.configure({ random: false, forbidDuplicateNames: false })
env.addReporter({
  specDone({ fullName, status, failedExpectations }: SpecResult) {
    if (status !== 'passed' && status !== 'failed') return
    let name = fullName
    for (let copy = 2; name in failures; copy++) name = `${fullName} #${copy}`
    failures[name] = failedExpectations.map(({ message }) => message)
  },
})
await import('@tensorflow/tfjs-core/dist/tests.js')
await env.execute()
process.send!(failures, undefined, {}, () => process.exit())
