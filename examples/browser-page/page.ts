/** Loads a model in a page and fills the mask of what one types. `npx vite examples/browser-page` serves it. */
import { init, pipeline } from 'heed'

const { backend, instructionSet } = await init() // webgpu where there is a real GPU, else wasm
document.querySelector('#backend')!.textContent = `${backend} (${instructionSet})`

const fillMask = await pipeline('fill-mask', new URL('countries-bert', location.href).href) // or a hub id

const form = document.querySelector('form')!
const list = document.querySelector('#words')!
form.addEventListener('submit', async event => {
  event.preventDefault()
  const text = String(new FormData(form).get('text'))
  const words = await fillMask(text).catch((error: Error) => error)
  list.replaceChildren(
    ...(words instanceof Error
      ? [words.message]
      : words.flat().map(word => `${word.sequence} (${word.score.toFixed(3)})`)
    ).map(line => Object.assign(document.createElement('li'), { textContent: line })),
  )
})
form.querySelector('button')!.disabled = false
