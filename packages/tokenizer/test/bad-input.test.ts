import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createByteLevelBpe } from '../src/byte-level-bpe.ts'
import { BpeModel } from '../src/models/bpe.ts'
import { UnigramModel } from '../src/models/unigram.ts'
import { WordLevelModel } from '../src/models/word-level.ts'
import { WordPieceModel } from '../src/models/wordpiece.ts'
import { translatePattern } from '../src/regex.ts'
import { Tokenizer } from '../src/tokenizer.ts'
import { BpeTrainer } from '../src/trainers/bpe.ts'
import { UnigramTrainer } from '../src/trainers/unigram.ts'
import { WordLevelTrainer } from '../src/trainers/word-level.ts'

/** The error that a call throws, as [code, message]. */
function errorOf(call: () => unknown): [unknown, string] {
  try {
    call()
  } catch (error) {
    if (error instanceof Error && 'code' in error) return [error.code, error.message]
    throw error
  }
  throw new Error('the call did not throw')
}

async function rejectionOf(promise: Promise<unknown>): Promise<[unknown, string]> {
  const error: unknown = await promise.then(
    () => undefined,
    reason => reason,
  )
  return errorOf(() => {
    throw error
  })
}

const model = { type: 'WordLevel', vocab: { a: 0, '<unk>': 1 }, unk_token: '<unk>' }

describe('a tokenizer.json that breaks a rule is refused with its place', () => {
  test.each([
    [null, 'tokenizer.json: it is null, expected an object. Correct the file.'],
    [{}, 'tokenizer.json.model: it is missing, expected an object. Correct the file.'],
    [{ version: '2.0', model }, 'tokenizer.json: version is "2.0", expected "1.0". Correct the file.'],
    [
      { model: { type: 'Markov' } },
      'tokenizer.json.model: type is "Markov", expected one of BPE, Unigram, WordLevel, WordPiece. Correct the file.',
    ],
    [
      { model, decoder: { type: 'Rot13' } },
      'tokenizer.json.decoder: type is "Rot13", expected one of BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, ' +
        'Replace, Sequence, Strip, WordPiece. Correct the file.',
    ],
    [
      { model, normalizer: { type: 'NFX' } },
      'tokenizer.json.normalizer: type is "NFX", expected one of Append, BertNormalizer, ByteLevel, Lowercase, NFC, NFD, ' +
        'NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents. Correct the file.',
    ],
    [
      { model, pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'toString' }] } },
      'tokenizer.json.pre_tokenizer.pretokenizers[0]: type is "toString", expected one of BertPreTokenizer, ByteLevel, ' +
        'CharDelimiterSplit, Digits, FixedLength, Metaspace, Punctuation, Sequence, Split, UnicodeScripts, Whitespace, ' +
        'WhitespaceSplit. Correct the file.',
    ],
    [
      { model, post_processor: {} },
      'tokenizer.json.post_processor: type is missing, expected one of BertProcessing, ByteLevel, RobertaProcessing, ' +
        'Sequence, TemplateProcessing. Correct the file.',
    ],
    [
      { model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: [['a', 'b']] } },
      'BpeModel: merge 0 (a b) needs the token "ab", expected it in the vocabulary. Add the token or remove the merge.',
    ],
    [
      { model: { type: 'BPE', vocab: { a: 0 }, merges: ['a'] } },
      'tokenizer.json.model: merge 0 is "a", expected two tokens. Correct the file.',
    ],
    [
      { model: { ...model, vocab: { a: 0, b: 0 } } },
      'WordLevelModel: the id 0 is given to both "a" and "b", expected one token for each id. Give one of them another id.',
    ],
    [
      { model: { ...model, vocab: { a: -1 } } },
      'WordLevelModel: the id of "a" is -1, expected an integer from 0 to 16777215. Correct the vocabulary.',
    ],
    [
      { model: { type: 'Unigram', vocab: [['a']], unk_id: null } },
      'tokenizer.json.model: vocab[0] is ["a"], expected a token and its score. Correct the file.',
    ],
    [
      { model: { type: 'Unigram', vocab: [['a', 0]], unk_id: 5 } },
      'UnigramModel: unk_id is 5, expected an index of its 1 tokens. Correct it or set it to null.',
    ],
    [
      { model, pre_tokenizer: { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated' } },
      'Regular expression: the pattern is "(a+)+$", but a repetition inside a repetition can match the same text in many ' +
        'ways, which may take exponential time. Rewrite the pattern.',
    ],
    [
      { model, normalizer: { type: 'Precompiled', precompiled_charsmap: '////' } },
      'Precompiled: precompiled_charsmap claims a table of NaN bytes, expected a multiple of 4 below its 3 bytes. ' +
        'Convert the model again.',
    ],
    [
      {
        model,
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: '[CLS]', type_id: 0 } }],
          pair: [],
          special_tokens: {},
        },
      },
      'TemplateProcessing: the template has "[CLS]", expected one of its special tokens. Add it to them.',
    ],
  ])('%j', (json, message) => {
    expect(errorOf(() => Tokenizer.fromJSON(json))).toEqual(['HEED_CONFIG_INVALID', message])
  })
})

describe('patterns that may run for ever or mean something else in JavaScript are refused', () => {
  test.each(['(a|aa)+$', '(?:\\w*)*x', '(\\s*a?)+', '\\w*\\w*\\w*\\w*b'])('%s is dangerous', pattern => {
    const [code, message] = errorOf(() => translatePattern(pattern))
    expect(code).toBe('HEED_CONFIG_INVALID')
    expect(message).toMatch(
      /^Regular expression: the pattern is .*, which may take exponential time\. Rewrite the pattern\.$/,
    )
  })

  test.each([
    ['a(b', 'it has an opening parenthesis without a closing one at 3'],
    ['a)', 'it has a closing parenthesis without an opening one at 1'],
    ['[a', 'it has a class without end at 0'],
    ['*a', 'it has a quantifier with nothing to repeat at 0'],
    ['a\\Kb', 'it has \\K, which JavaScript cannot express at 1'],
    ['[z-a]', 'it has a range whose bounds are reversed at 4'],
  ])('%s is not understood', (pattern, problem) => {
    const shown = JSON.stringify(pattern)
    const message = `Regular expression: the pattern is ${shown}, but ${problem}. Rewrite the pattern.`
    expect(errorOf(() => translatePattern(pattern))).toEqual(['HEED_CONFIG_INVALID', message])
  })

  test.each(['(?:\\p{L}\\p{M}*)+', '[^\\s\\p{L}\\p{N}]+[\\r\\n]*', '\\p{N}{1,3}(?=(?:\\p{N}{3})*)'])(
    '%s is harmless',
    pattern => {
      expect(translatePattern(pattern)).toBeInstanceOf(RegExp)
    },
  )
})

/** A tokenizer as JavaScript without types calls it. */
type Loose = Record<
  'encode' | 'encodeBatch' | 'decode' | 'addTokens' | 'applyChatTemplate',
  (...args: unknown[]) => unknown
>

describe('wrong arguments are refused', () => {
  const tokenizer = new Tokenizer({ model: new WordLevelModel({ vocab: { a: 0, '<unk>': 1 } }) })

  test('a text that is no string', () => {
    expect(errorOf(() => tokenizer.encode(undefined as unknown as string))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'encode: the text is undefined, expected a string or a list of strings. Convert it first.',
    ])
  })

  test.each([-1, 1.5, Number.NaN])('the id %s', id => {
    expect(errorOf(() => tokenizer.decode([id]))).toEqual([
      'HEED_ID_OUT_OF_RANGE',
      `decode: an id is ${id}, expected an integer from 0 on. Leave out labels that mask positions.`,
    ])
  })

  test.each<[string, (it: Loose) => unknown]>([
    [
      'encode: the text is ["a",5], expected a string or a list of strings. Convert it first.',
      it => it.encode(['a', 5]),
    ],
    [
      'encode: truncation.strategy is "longest_first", expected one of longestFirst, onlyFirst, onlySecond. Correct the option.',
      it => it.encode('a', { truncation: { maxLength: 2, strategy: 'longest_first' } }),
    ],
    [
      'encode: truncation.direction is "Right", expected one of left, right. Correct the option.',
      it => it.encode('a', { truncation: { maxLength: 2, direction: 'Right' } }),
    ],
    [
      'encode: padding.padToMultipleOf is 2.5, expected an integer from 0 on. Correct the option.',
      it => it.encode('a', { padding: { padId: 0, padToMultipleOf: 2.5 } }),
    ],
    [
      'encode: padding is "max_length", expected an object, true or false. Correct the option.',
      it => it.encode('a', { padding: 'max_length' }),
    ],
    ['encodeBatch: inputs is "ab", expected a list of texts. Pass [text].', it => it.encodeBatch('ab')],
    [
      'encodeBatch: inputs[0] is ["a","b","c"], expected a text or [text, pair]. Encode a text that is cut into words with encode.',
      it => it.encodeBatch([['a', 'b', 'c']]),
    ],
    ['decode: ids is 1, expected a list of integers. Pass [id] for a single one.', it => it.decode(1)],
    [
      'addTokens: tokens is "xyz", expected a list of tokens. Pass [token] for a single one.',
      it => it.addTokens('xyz'),
    ],
    [
      'addTokens: a token is {"token":"x"}, expected a string or an object with content. Name its text.',
      it => it.addTokens([{ token: 'x' }]),
    ],
    [
      'addTokens: single_word is not an option, expected singleWord. Rename it or leave it out.',
      it => it.addTokens([{ content: 'x', single_word: true }]),
    ],
    [
      'applyChatTemplate: messages is "hi", expected a list of at least one message. Pass [{ role, content }].',
      it => it.applyChatTemplate('hi'),
    ],
  ])('%s', (message, call) => {
    expect(errorOf(() => call(tokenizer as unknown as Loose))).toEqual(['HEED_ARGUMENT_INVALID', message])
  })

  test('a pad token of a call has its own id, not that of the file', () => {
    const padding = { padId: 1, padToken: '<unk>' }
    const model = new WordLevelModel({ vocab: { a: 0, '<unk>': 1 } })
    expect(new Tokenizer({ model, padding }).encode('a', { padding: { length: 2, padToken: 'a' } }).ids).toEqual([0, 0])
  })

  test('an initial alphabet counts by first characters, as in HF', () => {
    const { vocabulary } = new BpeTrainer({ initialAlphabet: ['zb', 'c', ''] }).learn(new Map([['a', 1]]))
    expect([...vocabulary.entries()].map(([token]) => token)).toEqual(['a', 'c', 'z'])
  })

  test('ids beyond the vocabulary are left out, as HF does', () => {
    expect(tokenizer.decode([0, 99, 0])).toBe('a a')
  })

  test.each([
    [
      { truncation: { maxLength: 1, strategy: 'onlySecond' as const } },
      'encode: truncation.strategy is onlySecond, expected a pair of texts. Pass pair, or use another strategy.',
    ],
    [
      { truncation: { maxLength: 1, stride: 1 } },
      'encode: truncation.stride is 1, expected less than the 1 tokens left for the text. Lower stride or raise maxLength.',
    ],
    [
      { truncation: { maxLength: -2 } },
      'encode: truncation.maxLength is -2, expected an integer from 0 on. Correct the option.',
    ],
    [
      { truncation: true as const },
      'encode: truncation is true, but neither tokenizer.json nor tokenizer_config.json names a longest input. ' +
        'Pass truncation: { maxLength }.',
    ],
    [
      { padding: true as const },
      'encode: padding.padToken is "[PAD]", expected a token of the vocabulary. Pass padding: { padToken } or { padId }.',
    ],
  ])('the options %j', (options, message) => {
    expect(errorOf(() => tokenizer.encode(['a', 'a', 'a'], options))).toEqual(['HEED_ARGUMENT_INVALID', message])
  })

  test('an unknown character without an unknown token', () => {
    const unigram = new Tokenizer({ model: new UnigramModel({ vocab: [['a', -1]], unkId: null }) })
    expect(errorOf(() => unigram.encode('b'))).toEqual([
      'HEED_CONFIG_INVALID',
      'UnigramModel: unk_id is null, expected an unknown token, since a character is unknown. Set unk_id.',
    ])
    const bpe = new Tokenizer({ model: new BpeModel({ unkToken: '?' }) })
    expect(errorOf(() => bpe.encode('b'))).toEqual([
      'HEED_CONFIG_INVALID',
      'BpeModel: unk_token is "?", expected a token of the vocabulary, since a piece is unknown. Add it to the vocabulary.',
    ])
  })

  test('options of trainers and models of another kind', async () => {
    expect(errorOf(() => new BpeTrainer({ vocabSize: -1 }))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'BpeTrainer: vocabSize is -1, expected an integer from 0 on. Correct the option.',
    ])
    expect(errorOf(() => new UnigramTrainer({ shrinkingFactor: 1 }))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'UnigramTrainer: shrinkingFactor is 1, expected a number between 0 and 1. Correct the option.',
    ])
    expect(await rejectionOf(new BpeTrainer().train(tokenizer, ['a']))).toEqual([
      'HEED_ARGUMENT_INVALID',
      "BpeTrainer: the tokenizer's model is WordLevelModel, expected BpeModel. Use the trainer of that model.",
    ])
    expect(await rejectionOf(new BpeTrainer().train(createByteLevelBpe(), 'one string'))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'train: texts is "one string", expected an iterable of strings. Pass [text], or its lines.',
    ])
  })
})

describe('files', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'heed-tokenizer-'))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true })
  })

  test('that are no JSON or no UTF-8 are refused by name', async () => {
    const path = join(folder, 'broken.json')
    await writeFile(path, '{"version":')
    const [code, message] = await rejectionOf(Tokenizer.fromFile(path))
    expect(code).toBe('HEED_FILE_INVALID')
    expect(message.startsWith(`${path}: it is not JSON: `)).toBe(true)
    await writeFile(path, Uint8Array.of(0x22, 0xff, 0x22))
    expect(await rejectionOf(Tokenizer.fromFile(path))).toEqual([
      'HEED_FILE_INVALID',
      `${path}: it is not valid UTF-8. Save it as UTF-8.`,
    ])
  })

  test('that are saved load again and leave nothing else behind', async () => {
    const target = join(folder, 'saved')
    const tokenizer = createByteLevelBpe({ config: { eos_token: '<|endoftext|>', chat_template: '{{ messages }}' } })
    await new BpeTrainer({ vocabSize: 300, specialTokens: ['<|endoftext|>'] }).train(tokenizer, ['hello hello world'])
    await tokenizer.save(target)
    expect((await readdir(target)).sort()).toEqual(['chat_template.jinja', 'tokenizer.json', 'tokenizer_config.json'])
    const loaded = await Tokenizer.fromPretrained(target)
    expect(loaded.toJSON()).toEqual(JSON.parse(JSON.stringify(tokenizer)))
    expect(loaded.specialTokenId('eos_token')).toBe(0)
    expect(loaded.config.chat_template).toBe('{{ messages }}')
  })

  // where the system has it, `mkdir` answers ENOENT there
  test.runIf(process.platform === 'linux')('cannot be saved where no folders can be made', async () => {
    const [code, message] = await rejectionOf(createByteLevelBpe().save('/proc/heed/model'))
    expect(code).toBe('HEED_IO')
    expect(message).toMatch(
      /^\/proc\/heed\/model\/tokenizer\S+json: writing failed: ENOENT\. Check the path and free space\.$/,
    )
  })
})

describe('options of plain JavaScript', () => {
  const tokenizer = createByteLevelBpe()
  const chat = [{ role: 'user', content: 'a' }]
  const misspelt = { size: 1 } as object
  const encodeOptions = 'addSpecialTokens, truncation, padding, offsets, splitSpecialTokens'
  const decodeOptions = 'skipSpecialTokens, cleanUpTokenizationSpaces'
  const trainerOptions = 'vocabSize, minFrequency, specialTokens'

  test.each<[string, () => unknown, string]>([
    ['encode', () => tokenizer.encode('a', misspelt), `pair, ${encodeOptions}`],
    ['encodeBatch', () => tokenizer.encodeBatch([], misspelt), encodeOptions],
    ['decode', () => tokenizer.decode([], misspelt), decodeOptions],
    ['decodeBatch', () => tokenizer.decodeBatch([], misspelt), decodeOptions],
    ['decodeStream', () => tokenizer.decodeStream(misspelt), decodeOptions],
    [
      'applyChatTemplate',
      () => tokenizer.applyChatTemplate(chat, misspelt),
      'chatTemplate, tools, documents, addGenerationPrompt, continueFinalMessage, variables, tokenize, ' +
        'returnAssistantTokensMask, truncation, padding',
    ],
    [
      'encode: truncation',
      () => tokenizer.encode('a', { truncation: { maxLength: 1, ...misspelt } }),
      'maxLength, stride, strategy, direction',
    ],
    [
      'encode: padding',
      () => tokenizer.encode('a', { padding: misspelt }),
      'length, direction, padToMultipleOf, padToken, padId, padTypeId',
    ],
    ['WordLevelTrainer', () => new WordLevelTrainer(misspelt), trainerOptions],
    [
      'BpeTrainer',
      () => new BpeTrainer(misspelt),
      `${trainerOptions}, initialAlphabet, limitAlphabet, continuingSubwordPrefix, endOfWordSuffix, maxTokenLength, compareTies`,
    ],
    [
      'UnigramTrainer',
      () => new UnigramTrainer(misspelt),
      'vocabSize, specialTokens, initialAlphabet, unkToken, maxPieceLength, seedSize, shrinkingFactor, numSubIterations',
    ],
  ])('%s refuses a name that it does not have', (where, call, names) => {
    const mend = 'Rename it or leave it out.'
    expect(errorOf(call)).toEqual([
      'HEED_ARGUMENT_INVALID',
      `${where}: size is not an option, expected one of ${names}. ${mend}`,
    ])
  })

  test('that are no object are refused, and undefined ones are not given', () => {
    expect(errorOf(() => tokenizer.encode('a', 'b' as never))[1]).toBe(
      `encode: the options are "b", expected an object with pair, ${encodeOptions}. Give each by its name: { pair: ... }.`,
    )
    expect(errorOf(() => tokenizer.decode([], null as never))[1]).toBe(
      `decode: the options are null, expected an object with ${decodeOptions}. Give each by its name: { ${decodeOptions.split(', ')[0]}: ... }.`,
    )
    expect(() => tokenizer.decode([], { size: undefined } as object)).not.toThrow()
  })
})

test('lone surrogates count as U+FFFD', () => {
  const tokenizer = createByteLevelBpe()
  tokenizer.addTokens(['\ufffd'])
  expect(tokenizer.encode('\ud800').ids).toEqual(tokenizer.encode('\ufffd').ids)
})

describe('a single word of 10 MB is encoded in linear time', () => {
  const word = '\u4f60\u597d'.repeat(1_750_000) // 3 bytes each
  const vocab = { '\u4f60': 0, '\u597d': 1, '\u4f60\u597d': 2, '\u4f60\u597d\u4f60\u597d': 3, '[UNK]': 4 }
  const tokens = Object.keys(vocab).slice(0, 4)
  const merges = [[tokens[0]!, tokens[1]!] as const, [tokens[2]!, tokens[2]!] as const]

  test.each([
    ['BPE', new BpeModel({ vocab, merges }), 875_000],
    ['Unigram', new UnigramModel({ vocab: tokens.map((token, i) => [token, -i - 1]), unkId: null }), 875_000],
    ['WordPiece', new WordPieceModel({ vocab }), 1], // longer than any word it takes apart
    ['WordLevel', new WordLevelModel({ vocab, unkToken: '[UNK]' }), 1],
  ])('by %s', (_, model, count) => {
    const { ids } = new Tokenizer({ model }).encode(word)
    expect(ids).toHaveLength(count)
    expect(new Set(ids)).toEqual(new Set([count === 1 ? 4 : 3]))
  })
})
