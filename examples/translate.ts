/** Translates sentences with an encoder-decoder model: the Transformer of 2017, in small. */
import { init, pipeline } from 'heed'

await init()
const translate = await pipeline('translation', 'examples/models/en-de')

const sentences = ['The old dog sees the horse.', 'The red cat looks for the ball.', 'Is the lamp big?']
for (const [i, { translationText }] of (await translate(sentences)).entries()) {
  console.log(sentences[i], '->', translationText)
}

translate.dispose()
