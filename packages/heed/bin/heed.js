#!/usr/bin/env node
// What `npx heed` runs. The command itself is @heed/cli, which pages need not install: the one beside this package, or npm
// fetches it.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

function commandLine() {
  try {
    return new URL('bin/heed.js', import.meta.resolve('@heed/cli/package.json'))
  } catch {
    return undefined
  }
}

const installed = commandLine()
if (installed) await import(installed.href)
else {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const args = ['exec', '--yes', `--package=@heed/cli@${version}`, '--', 'heed', ...process.argv.slice(2)]
  const child = spawn('npm', args, { stdio: 'inherit' })
  process.on('SIGINT', () => {}) // the command answers Ctrl-C
  child.on('error', error => {
    console.error(`heed: npm cannot be started (${error.message}). Install the command yourself: npm i -g @heed/cli`)
    process.exit(1)
  })
  child.on('close', code => process.exit(code ?? 1))
}
