/** Writes the small texts that the examples learn from: `npm run example models/make-data`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const data = join(import.meta.dirname, '..', 'data')
const write = (name: string, lines: readonly string[]): void => writeFileSync(join(data, name), `${lines.join('\n')}\n`)

// Facts about countries: what a small BERT can learn by heart.
const countries = [
  ['France', 'Paris', 'French', 'Europe'],
  ['Germany', 'Berlin', 'German', 'Europe'],
  ['Italy', 'Rome', 'Italian', 'Europe'],
  ['Spain', 'Madrid', 'Spanish', 'Europe'],
  ['Portugal', 'Lisbon', 'Portuguese', 'Europe'],
  ['Greece', 'Athens', 'Greek', 'Europe'],
  ['Poland', 'Warsaw', 'Polish', 'Europe'],
  ['Finland', 'Helsinki', 'Finnish', 'Europe'],
  ['Japan', 'Tokyo', 'Japanese', 'Asia'],
  ['China', 'Beijing', 'Chinese', 'Asia'],
  ['Thailand', 'Bangkok', 'Thai', 'Asia'],
  ['Vietnam', 'Hanoi', 'Vietnamese', 'Asia'],
  ['Egypt', 'Cairo', 'Arabic', 'Africa'],
  ['Kenya', 'Nairobi', 'Swahili', 'Africa'],
  ['Cuba', 'Havana', 'Spanish', 'America'],
  ['Peru', 'Lima', 'Spanish', 'America'],
] as const
write(
  'countries.txt',
  countries.flatMap(([country, city, language, continent]) => [
    `${city} is the capital of ${country}.`,
    `The capital of ${country} is ${city}.`,
    `${country} is a country in ${continent}.`,
    `${city} is a city in ${continent}.`,
    `In ${country} people speak ${language}.`,
    `People in ${city} speak ${language}.`,
    `The language of ${country} is ${language}.`,
  ]),
)

// English sentences with their German ones: gender, agreement and the order of words, in small.
const nouns = [
  ['dog', 'Hund', 'm'],
  ['man', 'Mann', 'm'],
  ['ball', 'Ball', 'm'],
  ['cat', 'Katze', 'f'],
  ['woman', 'Frau', 'f'],
  ['lamp', 'Lampe', 'f'],
  ['child', 'Kind', 'n'],
  ['horse', 'Pferd', 'n'],
  ['book', 'Buch', 'n'],
] as const
const adjectives = [
  ['small', 'klein'],
  ['big', 'groß'],
  ['old', 'alt'],
  ['red', 'rot'],
  ['good', 'gut'],
] as const
const verbs = [
  ['sees', 'sieht'],
  ['looks for', 'sucht'],
  ['finds', 'findet'],
] as const
const nominative = { m: 'der', f: 'die', n: 'das' }
const accusative = { m: 'den', f: 'die', n: 'das' }
const pairs = nouns.flatMap(([noun, nomen, gender]) =>
  adjectives.flatMap(([adjective, adjektiv]) => [
    [`The ${noun} is ${adjective}.`, `${nominative[gender]} ${nomen} ist ${adjektiv}.`],
    [`Is the ${noun} ${adjective}?`, `ist ${nominative[gender]} ${nomen} ${adjektiv}?`],
    ...nouns.flatMap(([other, andere, otherGender]) =>
      verbs.map(([verb, verbum]) => [
        `The ${adjective} ${noun} ${verb} the ${other}.`,
        `${nominative[gender]} ${adjektiv}e ${nomen} ${verbum} ${accusative[otherGender]} ${andere}.`,
      ]),
    ),
  ]),
)
const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1)
/** Every 37th sentence is for the test: it is not learned. */
const isTest = (i: number): boolean => i % 37 === 0
for (const [name, side] of [
  ['en', 0],
  ['de', 1],
] as const) {
  const lines = pairs.map(pair => capital(pair[side]!))
  write(
    `train.${name}`,
    lines.filter((_, i) => !isTest(i)),
  )
  write(
    `test.${name}`,
    lines.filter((_, i) => isTest(i)),
  )
}

// Opinions with their labels.
const things = ['film', 'book', 'meal', 'hotel', 'concert', 'game', 'phone', 'coffee', 'room', 'trip']
const praise = ['wonderful', 'excellent', 'lovely', 'great', 'a joy', 'better than I hoped']
const blame = ['terrible', 'awful', 'boring', 'a waste of money', 'worse than I feared', 'a disappointment']
const frames = ['The THING was WORD.', 'What a THING: WORD!', 'I found the THING WORD.']
const opinions = things.flatMap((thing, i) =>
  [praise, blame].flatMap((words, label) =>
    words.map((word, j) => {
      const frame = frames[(i + j) % frames.length]!
      return `${label === 0 ? 'positive' : 'negative'},${frame.replace('THING', thing).replace('WORD', word)}`
    }),
  ),
)
write('opinions.csv', ['label,text', ...opinions])

// Beginnings of stories, each with an ending that people prefer and one that they do not: happy and sad.
const children = ['Tom', 'Anna', 'Tim', 'Lily', 'Max', 'Mia', 'Sam', 'Lucy'] as const
const events = [
  ['went to the park with a red ball.', 'played in the sun'],
  ['found a small cat under a tree.', 'took it home'],
  ['wanted to bake a cake with Mom.', 'made a big cake'],
  ['saw a bird that could not fly.', 'helped the bird'],
  ['had a toy car that was broken.', 'fixed the car'],
] as const
write(
  'endings.jsonl',
  children.flatMap(child =>
    events.map(([event, deed]) =>
      JSON.stringify({
        prompt: `${child} ${event}`,
        chosen: `They ${deed} and were very happy.`,
        rejected: `They ${deed} but were very sad.`,
      }),
    ),
  ),
)
