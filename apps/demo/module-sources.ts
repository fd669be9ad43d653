/** The source of every module class, for the page that shows what a part of a model is: `import sources from 'virtual:module-sources'`. */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'

const root = fileURLToPath(new URL('../..', import.meta.url))
const name = 'virtual:module-sources'

/** Where the classes of the models on the page are. */
const files = [
  ...['attention', 'conv1d', 'dropout', 'embedding', 'feed-forward', 'layer-norm', 'linear', 'rms-norm'].map(
    file => `packages/layers/src/${file}.ts`,
  ),
  ...['bert', 'bert-heads', 'gpt2', 'transformer'].map(file => `packages/transformer/src/${file}.ts`),
  'packages/llama/src/llama.ts',
]

/** The classes of a file that extend another, each with the comment before it. */
const classes = /(?:^\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?^(?:export )?(?:abstract )?class (\w+) extends [\s\S]*?^\}$/gm

/** Gives each class its file, its line and its text, and puts the files themselves into the site, as text. */
export function moduleSources(): Plugin {
  return {
    name: 'module-sources',
    resolveId: id => (id === name ? `\0${name}` : undefined),
    load(id) {
      if (id !== `\0${name}`) return undefined
      const found: Record<string, { file: string; line: number; code: string }> = {}
      for (const file of files) {
        this.addWatchFile(join(root, file))
        const text = readFileSync(join(root, file), 'utf8')
        for (const { 0: code, 1: className, index } of text.matchAll(classes)) {
          found[className!] = { file, line: text.slice(0, index).split('\n').length, code }
        }
        if (this.environment.mode === 'build')
          this.emitFile({ type: 'asset', fileName: sourceAddress(file), source: text })
      }
      return `export default ${JSON.stringify(found)}`
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const file = files.find(one => request.url === `/${sourceAddress(one)}`)
        if (!file) return next()
        response.setHeader('content-type', 'text/plain; charset=utf-8')
        response.end(readFileSync(join(root, file)))
      })
    },
  }
}

/** Most file hosts serve `.txt` as text that a browser shows. */
const sourceAddress = (file: string): string => `sources/${basename(file)}.txt`
