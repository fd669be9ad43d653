/** Greedy choice against beam search: several sequences are followed at once, and the best as a whole wins. */
import { AutoModelForSeq2SeqLM, init, Tokenizer } from 'heed'

await init()
const folder = 'examples/models/en-de'
const tokenizer = await Tokenizer.fromPretrained(folder)
const model = await AutoModelForSeq2SeqLM.fromPretrained(folder)
const source = [tokenizer.encode('The good child finds the book.').ids]

const [greedy] = await model.generate(source, { numBeams: 1 })
console.log('greedy:', tokenizer.decode(greedy!))

const beams = await model.generate(source, {
  numBeams: 4,
  numReturnSequences: 3,
  lengthPenalty: 1,
  earlyStopping: true,
})
for (const [i, ids] of beams.entries()) console.log(`beam ${i + 1}:`, tokenizer.decode(ids))

// A rule that the search has to keep: no token of the greedy translation's second word.
const badWordsIds = [[greedy![2]!]]
const [other] = await model.generate(source, { numBeams: 4, badWordsIds })
console.log('other words:', tokenizer.decode(other!))

model.dispose()
