import { readdirSync } from 'node:fs'
import { bertArchitectures } from '@heed/transformer'
import { testArchitecture } from '@heed/transformer/testing'

for (const family of ['bert-tiny', 'roberta-tiny', 'distilbert-tiny']) {
  const fixtures = new URL(`fixtures/${family}/`, import.meta.url)
  for (const head of readdirSync(fixtures)) {
    testArchitecture({
      name: `${family}, ${head}`,
      architectures: bertArchitectures,
      fixture: new URL(`${head}/`, fixtures),
    })
  }
}
