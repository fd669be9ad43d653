import { llamaArchitectures } from '@heed/llama'
import { testArchitecture } from '@heed/transformer/testing'

const fixtures = new URL('fixtures/llama-tiny/', import.meta.url)

for (const fixture of ['grouped', 'tied', 'grouped-bf16']) {
  testArchitecture({
    name: `LlamaForCausalLM, ${fixture}`,
    architectures: llamaArchitectures,
    fixture: new URL(`${fixture}/`, fixtures),
  })
}
