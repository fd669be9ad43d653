#!/usr/bin/env node
// Committed, so that package managers find the command before it is built.
import module from 'node:module'

module.enableCompileCache?.() // Node 22 has it: what was compiled once need not be the next time
await import('../dist/main.js')
