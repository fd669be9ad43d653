import { HeedError } from '../errors.ts'
import { JsonObject } from '../json-object.ts'
import { byteLevelJson, byteLevelModel, byteLevelPreTokenizer } from './byte-level-json.ts'
import { type AddedTokenRow, addedTokenRow, type ImportedTokenizer } from './imported-tokenizer.ts'
import { GPT2_PATTERN, QWEN_PATTERN } from './split-patterns.ts'

export type ByteLevelFamily = 'gpt2' | 'roberta' | 'qwen2'

interface Family {
  readonly pattern: string
  readonly normalizer: Record<string, unknown> | null
  /** Special tokens, of those that the vocabulary has. */
  readonly added: readonly (readonly [content: string, flags?: Partial<AddedTokenRow>])[]
  readonly config: Readonly<Record<string, string>>
}

const families: Readonly<Record<ByteLevelFamily, Family>> = {
  gpt2: {
    pattern: GPT2_PATTERN,
    normalizer: null,
    added: [['<|endoftext|>']],
    config: { bos_token: '<|endoftext|>', eos_token: '<|endoftext|>', unk_token: '<|endoftext|>' },
  },
  roberta: {
    pattern: GPT2_PATTERN,
    normalizer: null,
    added: [['<s>'], ['<pad>'], ['</s>'], ['<unk>'], ['<mask>', { lstrip: true }]],
    config: {
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      sep_token: '</s>',
      cls_token: '<s>',
      pad_token: '<pad>',
      mask_token: '<mask>',
    },
  },
  qwen2: {
    pattern: QWEN_PATTERN,
    normalizer: { type: 'NFC' },
    added: [['<|endoftext|>'], ['<|im_start|>'], ['<|im_end|>']],
    config: { eos_token: '<|endoftext|>', pad_token: '<|endoftext|>' },
  },
}

/**
 * The tokenizer of GPT-2's two files, vocab.json and merges.txt (or encoder.json and vocab.bpe). Without `family`, one
 * with `<s>`, `</s>` and `<mask>` is RoBERTa's, any other GPT-2's.
 * Throws HEED_FILE_INVALID, HEED_CONFIG_INVALID.
 */
export function importVocabAndMerges(
  vocabJson: unknown,
  mergesText: string,
  family?: ByteLevelFamily,
): ImportedTokenizer {
  const object = JsonObject.of(vocabJson, 'vocab.json')
  const vocab = Object.fromEntries(object.entries().map(([token]) => [token, object.count(token)]))
  const isRoberta = ['<s>', '</s>', '<mask>'].every(token => Object.hasOwn(vocab, token))
  const chosen = family ?? (isRoberta ? 'roberta' : 'gpt2')
  const { pattern, normalizer, added, config } = families[chosen]
  const known = added.filter(([content]) => Object.hasOwn(vocab, content))
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: known.map(([content, flags]) => addedTokenRow(vocab[content]!, content, flags)),
      normalizer,
      pre_tokenizer: byteLevelPreTokenizer([pattern]),
      post_processor: chosen === 'roberta' ? robertaProcessing(vocab) : byteLevelJson({ trim_offsets: false }),
      decoder: byteLevelJson(),
      model: byteLevelModel({ vocab, merges: parseMerges(mergesText) }),
    },
    config,
  }
}

function robertaProcessing(vocab: Readonly<Record<string, number>>): Record<string, unknown> {
  return {
    type: 'RobertaProcessing',
    sep: ['</s>', vocab['</s>']],
    cls: ['<s>', vocab['<s>']],
    trim_offsets: true,
    add_prefix_space: false,
  }
}

/** Lines of two tokens; a line that begins with `#version` is no merge. Throws HEED_FILE_INVALID. */
function parseMerges(text: string): [string, string][] {
  const merges: [string, string][] = []
  for (const [i, row] of text.split('\n').entries()) {
    const line = row.replace(/\r$/, '')
    if (line === '' || line.startsWith('#version')) continue
    const parts = line.split(' ')
    if (parts.length !== 2 || parts.includes('')) {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `merges.txt: line ${i + 1} is ${JSON.stringify(line.slice(0, 60))}, expected two tokens with a space between. ` +
          'Fetch the file again.',
      )
    }
    merges.push([parts[0]!, parts[1]!])
  }
  return merges
}
