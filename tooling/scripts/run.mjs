// The one entry of `npm start`, `npm test` and `npm run bench`: sets up what is missing, then does the job.
// Needs nothing but Node and npm: the pinned pnpm is fetched through npx.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Runs a command in the repository root; ends this process with the command's code when it fails. */
function run(command, args, { mayFail = false } = {}) {
  const { status, signal } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`, // turbo looks for pnpm there
      TURBO_TELEMETRY_DISABLED: '1',
      DO_NOT_TRACK: '1',
    },
  })
  const code = signal ? 130 : (status ?? 1)
  if (code !== 0 && !mayFail) process.exit(code)
  return code
}

/** Installs the locked dependencies unless the lockfile is the one installed last. */
function install() {
  const stamp = join(root, 'node_modules', '.heed-lock-hash')
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  console.log('setting up: installing what the lockfile names')
  run('npx', ['--yes', packageManager, 'install', '--frozen-lockfile', '--loglevel=error'])
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, hash)
}

/** Builds every package; turbo skips what has not changed. The site builds itself when its tests have a browser. */
function build() {
  console.log('setting up: building what has changed (a minute or two the first time)')
  run(process.execPath, [
    join(root, 'node_modules', 'turbo', 'bin', 'turbo'),
    'run',
    'build',
    'build:kernels',
    '--filter=!@heed/demo',
    '--output-logs=errors-only',
    '--ui=stream',
  ])
}

const jobs = {
  start: args => run(process.execPath, ['apps/cli/dist/main.js', 'quickstart', ...args], { mayFail: true }),
  test: args => run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...args], { mayFail: true }),
  bench: args => run(process.execPath, ['tooling/bench/dist/main.js', ...args], { mayFail: true }),
}

const [job, ...args] = process.argv.slice(2)
if (!Object.hasOwn(jobs, job)) {
  console.error(`run.mjs: job is ${JSON.stringify(job)}, expected one of ${Object.keys(jobs).join(', ')}.`)
  process.exit(2)
}
install()
build()
process.exit(jobs[job](args))
