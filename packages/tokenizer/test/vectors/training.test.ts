import { expect, test } from 'vitest'
import { byteCharacters } from '../../src/byte-alphabet.ts'
import { byteLevelAlphabet, createByteLevelBpe } from '../../src/byte-level-bpe.ts'
import { ByteLevelDecoder } from '../../src/decoders/byte-level.ts'
import { BpeModel, type MergePair } from '../../src/models/bpe.ts'
import { ByteLevelPreTokenizer } from '../../src/pre-tokenizers/byte-level.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { BpeTrainer } from '../../src/trainers/bpe.ts'
import { readSharedJson, readSharedText, testWith } from './shared-data.ts'

/** Of pairs seen equally often CS336 merges the one whose bytes are greater; HF and we the one that is older. */
function greaterBytes(a: MergePair, b: MergePair): number {
  const order = (token: string) => [...token].map(character => byteCharacters.indexOf(character))
  const compare = (left: number[], right: number[]): number => {
    const at = left.findIndex((byte, i) => byte !== right[i])
    return at < 0 ? right.length - left.length : (right[at] ?? -1) - left[at]!
  }
  return compare(order(a[0]), order(b[0])) || compare(order(a[1]), order(b[1]))
}

const cs336 = 'B/stanford-cs336+assignment1-basics'

testWith(
  [`${cs336}/corpus.en`, `${cs336}/train-bpe-reference-merges.txt`, `${cs336}/train-bpe-reference-vocab.json`],
  "CS336's corpus gives the merges and tokens of its reference",
  async () => {
    const tokenizer = createByteLevelBpe()
    const trainer = new BpeTrainer({
      vocabSize: 500,
      specialTokens: ['<|endoftext|>'],
      initialAlphabet: byteLevelAlphabet,
      compareTies: greaterBytes,
    })
    await trainer.train(tokenizer, [readSharedText(`${cs336}/corpus.en`)])
    const merges = readSharedText(`${cs336}/train-bpe-reference-merges.txt`).trimEnd().split('\n')
    const learned = tokenizer.model.toJSON().merges as MergePair[]
    expect(learned.map(pair => pair.join(' '))).toEqual(merges)
    const vocabulary = readSharedJson<Record<string, number>>(`${cs336}/train-bpe-reference-vocab.json`)
    expect([...tokenizer.vocabulary().keys()].sort()).toEqual(Object.keys(vocabulary).sort())
  },
)

/** A byte-level BPE over texts as they are, as minbpe's BasicTokenizer. */
function uncutTokenizer(): Tokenizer {
  return new Tokenizer({
    model: new BpeModel(),
    preTokenizer: new ByteLevelPreTokenizer({ addPrefixSpace: false, useRegex: false }),
    decoder: new ByteLevelDecoder(),
  })
}

test("minbpe's example from Wikipedia: aaabdaaabac becomes XdXac after three merges", async () => {
  const tokenizer = uncutTokenizer()
  const bytes = new BpeTrainer({ vocabSize: 256 + 3, initialAlphabet: byteLevelAlphabet })
  await bytes.train(tokenizer, ['aaabdaaabac'])
  const tokens = tokenizer.encode('aaabdaaabac').tokens
  expect(tokens).toEqual(['aaab', 'd', 'aaab', 'a', 'c'])
})

const taylorSwift = 'B/karpathy+minbpe/taylorswift.txt'

testWith([taylorSwift], "minbpe's text comes back from 512 tokens trained on it", async () => {
  const text = readSharedText(taylorSwift)
  const tokenizer = createByteLevelBpe()
  await new BpeTrainer({ vocabSize: 512, initialAlphabet: byteLevelAlphabet }).train(tokenizer, [text])
  const { ids } = tokenizer.encode(text)
  expect(tokenizer.decode(ids)).toBe(text)
  expect(text.length / ids.length).toBeGreaterThan(1.9)
})
