import { bartArchitectures } from '@heed/transformer'
import { testArchitecture } from '@heed/transformer/testing'

for (const name of ['bart-tiny', 'marian-tiny']) {
  testArchitecture({ name, architectures: bartArchitectures, fixture: new URL(`fixtures/${name}/`, import.meta.url) })
}
