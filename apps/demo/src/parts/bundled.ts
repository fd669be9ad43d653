/** The story teller of llama2.c (MIT), which the tests of @heed/llama use too. */
const files = import.meta.glob<string>('../../../../packages/llama/test/fixtures/stories260K/*.{json,safetensors}', {
  query: '?url',
  import: 'default',
})

/** The files of the bundled model, as if its folder had been dropped. */
export async function bundledModel(): Promise<File[]> {
  const wanted = Object.entries(files).filter(([path]) => !path.endsWith('expected.json'))
  return Promise.all(
    wanted.map(async ([path, address]) => {
      const response = await fetch(await address())
      return new File([await response.blob()], path.slice(path.lastIndexOf('/') + 1))
    }),
  )
}

/** The content of a bundled tokenizer.json. */
export async function bundledTokenizer(name: 'stories260K' | 'bpe' | 'wordpiece' | 'unigram'): Promise<string> {
  if (name !== 'stories260K') return (await fetch(`./tokenizers/${name}.json`)).text()
  const [, address] = Object.entries(files).find(([path]) => path.endsWith('/tokenizer.json'))!
  return (await fetch(await address())).text()
}
