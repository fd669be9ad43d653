import { gpt2Architectures } from '@heed/transformer'
import { testArchitecture } from '@heed/transformer/testing'

for (const head of ['model', 'lm', 'lm-varied', 'sequence-classification']) {
  testArchitecture({
    name: `GPT-2, ${head}`,
    architectures: gpt2Architectures,
    fixture: new URL(`fixtures/gpt2-tiny/${head}/`, import.meta.url),
  })
}
