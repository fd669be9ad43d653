// Lets plain Node import two things it does not take: this repository's TypeScript, and the ES modules inside
// @tensorflow/tfjs-core/dist, which call themselves CommonJS and leave the extension out of their imports.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { load as loadTypeScript } from '../../../../tooling/scripts/typescript-hooks.mjs'

const isCore = url => url?.includes('/tfjs-core/dist/')

export async function resolve(specifier, context, nextResolve) {
  if (isCore(context.parentURL) && specifier.startsWith('.')) {
    const url = new URL(specifier, context.parentURL)
    for (const ending of ['', '.js', '/index.js']) {
      const found = await nextResolve(`${url}${ending}`, context).catch(() => undefined)
      if (found && !found.url.endsWith('/')) return found
    }
  }
  return nextResolve(specifier, context)
}

export async function load(url, context, nextLoad) {
  if (isCore(url)) return { format: 'module', source: await readFile(fileURLToPath(url), 'utf8'), shortCircuit: true }
  return loadTypeScript(url, context, nextLoad)
}
