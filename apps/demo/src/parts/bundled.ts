import type { InsideName } from '../worker/inside-worker.ts'

/** The story teller of llama2.c (MIT), which the tests of @heed/llama use too. */
const files = import.meta.glob<string>('../../../../packages/llama/test/fixtures/stories260K/*.{json,safetensors}', {
  query: '?url',
  import: 'default',
})

type Addresses = Record<string, () => Promise<string>>

/** Files as if their folder had been dropped. */
async function filesAt(addresses: Addresses): Promise<File[]> {
  const wanted = Object.entries(addresses).filter(([path]) => !path.endsWith('expected.json'))
  return Promise.all(
    wanted.map(async ([path, address]) => {
      const response = await fetch(await address())
      if (!response.ok) throw new Error(`${path}: status is ${response.status}. Reload the page.`)
      return new File([await response.blob()], path.slice(path.lastIndexOf('/') + 1))
    }),
  )
}

/** The files of the bundled model. */
export const bundledModel = (): Promise<File[]> => filesAt(files)

/** Ours: the Transformer of 2017 and BERT on made-up sentences, and GPT-2 on the story teller's stories. */
const models: Record<InsideName, Addresses> = {
  transformer: import.meta.glob<string>('../../models/en-de-2017/*.{json,safetensors}', {
    query: '?url',
    import: 'default',
  }),
  bert: import.meta.glob<string>('../../../../examples/models/countries-bert/*.{json,safetensors}', {
    query: '?url',
    import: 'default',
  }),
  gpt2: import.meta.glob<string>('../../models/stories-gpt2/*.{json,safetensors}', {
    query: '?url',
    import: 'default',
  }),
  llama: files,
}

/** The files of a model that the page looks into. */
export const insideModel = (name: InsideName): Promise<File[]> => filesAt(models[name])

/** The content of a bundled tokenizer.json. */
export async function bundledTokenizer(name: 'stories260K' | 'bpe' | 'wordpiece' | 'unigram'): Promise<string> {
  if (name !== 'stories260K') return (await fetch(`./tokenizers/${name}.json`)).text()
  const [, address] = Object.entries(files).find(([path]) => path.endsWith('/tokenizer.json'))!
  return (await fetch(await address())).text()
}
