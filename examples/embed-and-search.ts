/** Turns sentences into vectors, and finds those whose direction is nearest to a question's. */
import { readFileSync } from 'node:fs'
import { init, pipeline } from 'heed'

await init()
const embed = await pipeline('feature-extraction', 'examples/models/countries-bert', { onWarning: () => {} })
const settings = { pooling: 'mean', normalize: true } as const

const sentences = readFileSync('examples/data/countries.txt', 'utf8').trim().split('\n')
const vectors = (await embed(sentences, { ...settings, batchSize: 32 })) as number[][]

/** Of vectors of length 1 the cosine of their angle. */
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0)

const question = (await embed('Is Tokyo the capital of Japan?', settings)) as number[]
const ranked = sentences
  .map((sentence, i) => ({ sentence, similarity: dot(vectors[i]!, question) }))
  .sort((a, b) => b.similarity - a.similarity)
for (const { sentence, similarity } of ranked.slice(0, 3)) console.log(similarity.toFixed(3), sentence)

embed.dispose()
