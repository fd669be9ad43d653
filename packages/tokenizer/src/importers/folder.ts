import type { TokenizerConfig } from '../tokenizer-config.ts'
import { type ByteLevelFamily, importVocabAndMerges } from './byte-level-files.ts'
import type { ImportedTokenizer } from './imported-tokenizer.ts'
import type { PieceOptions } from './piece-model.ts'
import { importModelFile, importVocabTxt } from './single-file.ts'

/** Reads files of a folder; undefined for one that is not there. Throws HEED_FILE_INVALID, HEED_IO. */
export interface FolderFiles {
  bytes(name: string): Promise<Uint8Array | undefined>
  text(name: string): Promise<string | undefined>
  json(name: string): Promise<unknown>
}

const pieceFiles = ['tokenizer.model', 'spiece.model', 'sentencepiece.bpe.model']
const pairsOfFiles = [
  ['vocab.json', 'merges.txt'],
  ['encoder.json', 'vocab.bpe'],
] as const

/** The files that `importFolder` reads, for messages. */
export const importableFiles: string = [
  'vocab.txt',
  ...pairsOfFiles.map(pair => pair.join(' with ')),
  ...pieceFiles,
].join(', ')

/** What tokenizer_config.json says of the class: options for SentencePiece, or a family of byte-level files. */
const pieceClasses: Readonly<Record<string, PieceOptions>> = {
  T5Tokenizer: { addEosToken: true, extraIds: 100 },
  XLNetTokenizer: { isXlnet: true },
  LlamaTokenizer: { addBosToken: true },
  CodeLlamaTokenizer: { addBosToken: true },
  GemmaTokenizer: { addBosToken: true },
}
const byteLevelClasses: Readonly<Record<string, ByteLevelFamily>> = {
  GPT2Tokenizer: 'gpt2',
  RobertaTokenizer: 'roberta',
  BartTokenizer: 'roberta',
  Qwen2Tokenizer: 'qwen2',
}

/** The tokenizer of a folder without tokenizer.json, from its vocabulary files; undefined if there are none. */
export async function importFolder(
  files: FolderFiles,
  config: TokenizerConfig,
): Promise<ImportedTokenizer | undefined> {
  const className = String(config.tokenizer_class ?? '').replace(/Fast$/, '')
  const vocabulary = await files.text('vocab.txt')
  if (vocabulary !== undefined) return importVocabTxt(vocabulary, config)
  for (const [vocabName, mergesName] of pairsOfFiles) {
    const merges = await files.text(mergesName)
    const vocab = merges === undefined ? undefined : await files.json(vocabName)
    if (merges !== undefined && vocab !== undefined) {
      return importVocabAndMerges(vocab, merges, byteLevelClasses[className])
    }
  }
  for (const name of pieceFiles) {
    const bytes = await files.bytes(name)
    if (bytes) return importModelFile(bytes, config, pieceClasses[className] ?? {})
  }
  return undefined
}
