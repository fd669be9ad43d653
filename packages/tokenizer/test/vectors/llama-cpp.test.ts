import { expect } from 'vitest'
import { importVocabAndMerges } from '../../src/importers/byte-level-files.ts'
import { readGgufMetadata } from '../../src/importers/gguf-metadata.ts'
import { importGgufVocabulary } from '../../src/importers/gguf-vocabulary.ts'
import type { ImportedTokenizer } from '../../src/importers/imported-tokenizer.ts'
import { importTiktoken } from '../../src/importers/tiktoken.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readShared, readSharedJson, readSharedText, testWith } from './shared-data.ts'

const folder = 'B/ggerganov+llama.cpp/models/ggml-vocab-'

/** The texts of NAME.gguf.inp and the ids of NAME.gguf.out, one line each, without tokens around them. */
function vectorsOf(name: string): { text: string; ids: number[] }[] {
  const texts = readSharedText(`${folder}${name}.gguf.inp`).split('\n__ggml_vocab_test__\n')
  const lines = readSharedText(`${folder}${name}.gguf.out`).split('\n')
  return texts.map((text, i) => ({ text, ids: lines[i]!.trim().split(/\s+/).filter(Boolean).map(Number) }))
}

function expectVectors(name: string, { tokenizer, config }: ImportedTokenizer): void {
  const loaded = Tokenizer.fromJSON(tokenizer, config)
  const vectors = vectorsOf(name)
  const encode = (text: string) => [...loaded.encode(text, { addSpecialTokens: false }).ids]
  expect(vectors.length).toBeGreaterThan(40)
  expect(vectors.map(({ text }) => ({ text, ids: encode(text) }))).toEqual(vectors)
}

const filesOf = (name: string) => [`${folder}${name}.gguf.inp`, `${folder}${name}.gguf.out`]

for (const name of ['bert-bge', 'deepseek-llm', 'gpt-2', 'llama-spm', 'mpt']) {
  const path = `${folder}${name}.gguf`
  testWith([path, ...filesOf(name)], `the vocabulary in ggml-vocab-${name}.gguf gives llama.cpp's ids`, () => {
    expectVectors(name, importGgufVocabulary(readGgufMetadata(readShared(path))))
  })
}

const llama3 = 'B/meta-llama+llama-models/llama3/tokenizer.model'
testWith([llama3, ...filesOf('llama-bpe')], "LLaMA 3's rank file gives llama.cpp's ids", () => {
  expectVectors('llama-bpe', importTiktoken(readSharedText(llama3), 'llama3'))
})

const qwen = 'B/x1ngzai+Qwen-VL-Chat-Int4/qwen.tiktoken'
testWith([qwen, ...filesOf('qwen2')], "Qwen's rank file gives llama.cpp's ids", () => {
  expectVectors('qwen2', importTiktoken(readSharedText(qwen), 'qwen'))
})

const roberta = ['B/microsoft+BlingFire/roberta/vocab.json', 'B/microsoft+BlingFire/roberta/merges.txt'] as const
testWith([...roberta, ...filesOf('roberta-bpe')], "RoBERTa's vocab.json and merges.txt give llama.cpp's ids", () => {
  expectVectors('roberta-bpe', importVocabAndMerges(readSharedJson(roberta[0]), readSharedText(roberta[1])))
})
