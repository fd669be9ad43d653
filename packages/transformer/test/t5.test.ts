import { t5Architectures } from '@heed/transformer'
import { testArchitecture } from '@heed/transformer/testing'

for (const name of ['relu', 'gated']) {
  const fixture = new URL(`fixtures/t5-tiny/${name}/`, import.meta.url)
  testArchitecture({ name: `T5, ${name}`, architectures: t5Architectures, fixture })
}
