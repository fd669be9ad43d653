/** Loads a BERT and fills a mask: the likeliest words, with their probabilities. */
import { init, pipeline } from 'heed'

await init()
const fillMask = await pipeline('fill-mask', 'examples/models/countries-bert') // a folder, or an id of the HuggingFace hub

const words = await fillMask('Paris is the [MASK] of France.', { topK: 3 })
for (const { tokenStr, score, sequence } of words.flat()) console.log(score.toFixed(3), tokenStr, '|', sequence)

const [city] = (await fillMask('The capital of Japan is [MASK].')).flat()
console.log(city!.tokenStr) // tokyo

fillMask.dispose()
