// Does tokenizer tasks for `contestant.ts`: a line of JSON in, a line of JSON out. Arguments: the engine.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BpeTrainer, byteLevelAlphabet, createByteLevelBpe, Tokenizer, WordPieceTrainer } from '@heed/tokenizer'
import type { TokenizerTask } from './contestant.ts'
import { corpusText, vocabulary } from './corpora.ts'
import { type Run, serveTasks } from './serve-tasks.ts'

function textsOf({ text, isByLines }: TokenizerTask): string[] {
  return isByLines ? corpusText(text).split(/(?<=\n)/) : [corpusText(text)]
}

const specialTokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']

/** BERT's tokenizer before it is trained. */
function untrainedWordPiece(): Tokenizer {
  return Tokenizer.fromJSON({
    version: '1.0',
    added_tokens: [],
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: {},
    },
  })
}

function prepareHeed(task: TokenizerTask): Run {
  const { name, vocabulary: chosen } = task
  if (name === 'encode') {
    const { tokenizer: json, config } = vocabulary(chosen)
    const tokenizer = Tokenizer.fromJSON(json, config)
    const texts = textsOf(task)
    return () => texts.map(text => tokenizer.encode(text).ids)
  }
  const lines = textsOf({ ...task, isByLines: true })
  const options = { vocabSize: 16000, minFrequency: 2 }
  if (chosen === 'wordpiece') {
    return () => new WordPieceTrainer({ ...options, specialTokens }).train(untrainedWordPiece(), lines)
  }
  return () => new BpeTrainer({ ...options, initialAlphabet: byteLevelAlphabet }).train(createByteLevelBpe(), lines)
}

/** HF's Rust, by its npm package. It has no batch of one thread, hence one text. */
async function prepareRust(task: TokenizerTask): Promise<Run> {
  const { vocabulary: chosen } = task
  const { Tokenizer: RustTokenizer } = await import('tokenizers')
  const folder = mkdtempSync(join(tmpdir(), 'heed-bench-'))
  const path = join(folder, 'tokenizer.json')
  writeFileSync(path, JSON.stringify(vocabulary(chosen).tokenizer))
  const tokenizer = RustTokenizer.fromFile(path)
  rmSync(folder, { recursive: true })
  const texts = textsOf(task)
  return async () => {
    for (const text of texts) (await tokenizer.encode(text)).getIds()
  }
}

/** HF's own TypeScript. */
async function prepareJs(task: TokenizerTask): Promise<Run> {
  const { vocabulary: chosen } = task
  const { Tokenizer: JsTokenizer } = await import('@huggingface/tokenizers')
  const tokenizer = new JsTokenizer(JSON.parse(JSON.stringify(vocabulary(chosen).tokenizer)), {})
  const texts = textsOf(task)
  return () => texts.map(text => tokenizer.encode(text).ids)
}

const engines: Readonly<Record<string, (task: TokenizerTask) => Run | Promise<Run>>> = {
  heed: prepareHeed,
  tokenizers: prepareRust,
  'tokenizers-js': prepareJs,
}
const prepare = engines[process.argv[2]!]!
await serveTasks(task => {
  if (task.name === 'encode' || task.name === 'learn') return prepare(task)
  throw new Error(`tokenizer-worker: the task is ${task.name}, expected encode or learn.`)
})
