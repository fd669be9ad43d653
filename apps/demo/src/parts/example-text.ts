import address from '../../../../data/tiny-shakespeare.txt?url'

/** The beginning of Tiny Shakespeare, up to the end of a line; all of it by default. */
export async function exampleText(characters = Infinity): Promise<string> {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${address}: status is ${response.status}. Reload the page.`)
  const text = await response.text()
  return text.length <= characters ? text : text.slice(0, text.lastIndexOf('\n', characters) + 1)
}
