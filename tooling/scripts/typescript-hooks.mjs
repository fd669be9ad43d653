/** Lets a plain node process run the TypeScript sources: `node --conditions=@heed/source --import <this file> script.ts`. */
import { readFileSync } from 'node:fs'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import ts from 'typescript'

const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 }

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const fileName = fileURLToPath(url)
  const { outputText } = ts.transpileModule(readFileSync(fileName, 'utf8'), { compilerOptions, fileName })
  return { format: 'module', source: outputText, shortCircuit: true }
}

// Hooks run in a thread of their own, which loads this file too.
if (isMainThread) register(import.meta.url)
