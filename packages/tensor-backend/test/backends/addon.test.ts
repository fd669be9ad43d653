import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const addon = fileURLToPath(new URL('../../build/heed.node', import.meta.url))

/** Uses the addon in a thread of its own, twice, and prints what the process has loaded after each. */
const script = `
const { Worker } = require('node:worker_threads')
const use = 'const addon = require(process.argv[2]); addon.configure(2, ""); addon.release(addon.allocate(64))'
const names = () => process.report.getReport().sharedObjects.filter(name => name.endsWith('heed.node'))
const next = left => new Worker(use, { eval: true, argv: [process.argv[1]] })
  .on('error', error => { throw error })
  .on('exit', () => { console.log(names().length); if (left > 1) next(left - 1) })
next(2)`

/** Takes memory in a thread of its own, which leaves it behind, and prints what the process still has in use. */
const leaving = `
const { Worker } = require('node:worker_threads')
const addon = require(process.argv[1])
addon.configure(1, '')
const take = 'const addon = require(process.argv[2]); addon.release_at_end(); addon.allocate(1 << 24); addon.release(addon.allocate(64)); setInterval(() => {}, 1000)'
const worker = new Worker(take, { eval: true, argv: [process.argv[1]] })
worker.on('error', error => { throw error })
worker.on('online', () => setTimeout(() => {
  console.log(addon.memory_use().inUse >= 1 << 24)
  worker.terminate().then(() => console.log(addon.memory_use().inUse))
}, 200))`

describe.skipIf(!existsSync(addon))('the addon (needs to be built)', () => {
  test('stays when the only thread that uses it ends, for the pool still runs its code', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', script, addon], { encoding: 'utf8' })
    expect([stdout, stderr, status]).toEqual(['1\n1\n', '', 0])
  })

  test('gives the memory of a thread back when the thread ends', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', leaving, addon], { encoding: 'utf8' })
    expect([stdout, stderr, status]).toEqual(['true\n0\n', '', 0])
  })
})
