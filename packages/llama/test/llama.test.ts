import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { llamaArchitectures } from '@heed/llama'
import { testArchitecture } from '@heed/transformer/testing'

const fixtures = new URL('fixtures/', import.meta.url)
const foldersIn = (folder: string): string[] =>
  readdirSync(fileURLToPath(new URL(`${folder}/`, fixtures))).map(name => `${folder}/${name}`)
const withoutNumbers = ['llama-tiny/grouped-sharded']

const relatives = readdirSync(fileURLToPath(fixtures)).filter(name => /-tiny(-\w+)?$/.test(name))
const folders = relatives.flatMap(name => (name === 'llama-tiny' || name === 'rope-tiny' ? foldersIn(name) : [name]))

for (const folder of folders.filter(name => !withoutNumbers.includes(name))) {
  testArchitecture({
    name: folder,
    architectures: llamaArchitectures,
    fixture: new URL(`${folder}/`, fixtures),
  })
}
