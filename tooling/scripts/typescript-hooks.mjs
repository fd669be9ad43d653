/** Lets a plain node process run the TypeScript sources: `node --conditions=@heed/source --import <this file> script.ts`. */
import { readFileSync } from 'node:fs'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

const options = { target: 'es2023', tsconfig: false, typescript: { onlyRemoveTypeImports: true } }

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const { transformSync } = await import('rolldown/utils')
  const fileName = fileURLToPath(url)
  const { code, errors } = transformSync(fileName, readFileSync(fileName, 'utf8'), options)
  if (errors.length > 0) throw errors[0]
  return { format: 'module', source: code, shortCircuit: true }
}

// Hooks run in a thread of their own, which loads this file too.
if (isMainThread) register(import.meta.url)
