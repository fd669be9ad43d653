import { expect } from 'vitest'
import { importVocabAndMerges } from '../../src/importers/byte-level-files.ts'
import { addedTokenRow, type ImportedTokenizer } from '../../src/importers/imported-tokenizer.ts'
import { importSentencePiece } from '../../src/importers/sentencepiece.ts'
import { importTiktoken } from '../../src/importers/tiktoken.ts'
import { importWordPieces } from '../../src/importers/word-pieces.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readShared, readSharedJson, readSharedText, testWith } from './shared-data.ts'

interface Vector {
  readonly text: string
  readonly ids: number[]
  readonly decoded: string
}

interface Family {
  /** Names in tokenizer_expected/FILE.json. */
  readonly names: readonly string[]
  readonly file: string
  /** Our copies of the vocabulary. */
  readonly sources: readonly string[]
  load(sources: readonly string[]): ImportedTokenizer
  /** Which of the ids to compare; Whisper puts more tokens around a text. */
  readonly slice?: readonly [start: number, end: number]
  /** Whether transformers closed up spaces in the decoded texts. */
  readonly cleansUp?: boolean
}

const gpt2 = ['B/graykode+gpt-2-Pytorch/encoder.json', 'B/graykode+gpt-2-Pytorch/vocab.bpe']
const ofFiles = ([vocab, merges]: readonly string[]) =>
  importVocabAndMerges(readSharedJson(vocab!), readSharedText(merges!))

const whisperTokens = { '<|startoftranscript|>': 50257, '<|en|>': 50258, '<|notimestamps|>': 50362 }

function withTokens({ tokenizer, config }: ImportedTokenizer, tokens: Record<string, number>): ImportedTokenizer {
  const added = Object.entries(tokens).map(([content, id]) => addedTokenRow(id, content))
  const model = tokenizer.model as { vocab: Record<string, number> }
  return {
    tokenizer: {
      ...tokenizer,
      added_tokens: [...(tokenizer.added_tokens as unknown[]), ...added],
      model: { ...model, vocab: { ...model.vocab, ...tokens } },
    },
    config,
  }
}

const families: readonly Family[] = [
  { names: ['Xenova/gpt2', 'openai-community/gpt2'], file: 'gpt2', sources: gpt2, load: ofFiles, cleansUp: true },
  { names: ['tiiuae/falcon-rw-1b'], file: 'falcon', sources: gpt2, load: ofFiles, cleansUp: true },
  {
    names: ['onnx-community/whisper-tiny.en'],
    file: 'whisper',
    sources: gpt2,
    load: sources => withTokens(ofFiles(sources), whisperTokens),
    slice: [2, -1],
    cleansUp: true,
  },
  {
    names: ['Xenova/gpt-4'],
    file: 'gpt2',
    sources: ['B/niieani+gpt-tokenizer/cl100k_base.tiktoken'],
    load: ([path]) => importTiktoken(readSharedText(path!), 'cl100k_base'),
  },
  {
    names: ['Xenova/gpt-4o'],
    file: 'gpt2',
    sources: ['B/niieani+gpt-tokenizer/o200k_base.tiktoken'],
    load: ([path]) => importTiktoken(readSharedText(path!), 'o200k_base'),
  },
  {
    names: ['Xenova/llama-tokenizer'],
    file: 'llama',
    sources: ['B/karpathy+llama2.c/tokenizer.model'],
    load: ([path]) => importSentencePiece(readShared(path!), { addBosToken: true }),
  },
  {
    names: ['Xenova/llama3-tokenizer-new'],
    file: 'llama',
    sources: ['B/meta-llama+llama-models/llama3/tokenizer.model'],
    load: ([path]) => importTiktoken(readSharedText(path!), 'llama3'),
    cleansUp: true,
  },
  {
    names: ['Xenova/t5-small', 'google-t5/t5-small'],
    file: 't5',
    sources: ['B/pytorch+torchtune/sentencepiece.model'],
    load: ([path]) => importSentencePiece(readShared(path!), { addEosToken: true, extraIds: 100 }),
    cleansUp: true,
  },
  {
    names: ['Xenova/all-distilroberta-v1'],
    file: 'roberta',
    sources: ['B/microsoft+BlingFire/roberta/vocab.json', 'B/microsoft+BlingFire/roberta/merges.txt'],
    load: ofFiles,
  },
  {
    names: ['Xenova/Qwen1.5-0.5B-Chat'],
    file: 'qwen2',
    sources: ['B/x1ngzai+Qwen-VL-Chat-Int4/qwen.tiktoken'],
    load: ([path]) => importTiktoken(readSharedText(path!), 'qwen'),
  },
  {
    names: ['Xenova/all-mpnet-base-v2'],
    file: 'mpnet',
    sources: ['B/opensearch-project+ml-commons/bert-base-uncased.vocab.txt'],
    load: ([path]) => {
      const bert = readSharedText(path!).trimEnd().split('\n')
      const specialTokens = { cls_token: '<s>', sep_token: '</s>', pad_token: '<pad>', mask_token: '<mask>' }
      return importWordPieces(['<s>', '<pad>', '</s>', '<unk>', ...bert, '<mask>'], { specialTokens })
    },
    cleansUp: true,
  },
]

for (const { names, file, sources, load, slice = [0, undefined], cleansUp = false } of families) {
  for (const name of names) {
    const path = `B/huggingface+transformers.js/tokenizer_expected/${file}.json`
    testWith([path, ...sources], `${name} encodes and decodes the texts of transformers.js as expected`, () => {
      const vectors = Object.entries(readSharedJson<Record<string, Record<string, Vector>>>(path)[name]!)
      const { tokenizer: json, config } = load(sources)
      const tokenizer = Tokenizer.fromJSON(json, config)
      const encoded = vectors.map(([title, { text }]) => [title, [...tokenizer.encode(text).ids]])
      expect(encoded).toEqual(vectors.map(([title, { ids }]) => [title, ids.slice(...slice)]))
      const options = { skipSpecialTokens: false, cleanUpTokenizationSpaces: cleansUp }
      const decoded = vectors.map(([title, { ids }]) => [title, tokenizer.decode(ids, options)])
      expect(decoded).toEqual(vectors.map(([title, { decoded }]) => [title, decoded]))
    })
  }
}
