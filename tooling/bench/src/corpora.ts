import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  type ImportedTokenizer,
  importSentencePiece,
  importTiktoken,
  importVocabAndMerges,
  importVocabTxt,
} from '@heed/tokenizer'

/** A folder of texts and vocabularies that are not in the repository; its MANIFEST.md names their sources. */
const dataFolder = process.env.HEED_BENCH_DATA ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url))
const shakespearePath = fileURLToPath(new URL('../../../data/tiny-shakespeare.txt', import.meta.url))

function read(name: string): Buffer {
  try {
    return readFileSync(`${dataFolder}/${name}`)
  } catch (cause) {
    throw new Error(`${dataFolder}/${name}: reading failed, set HEED_BENCH_DATA to the folder that holds it.`, {
      cause,
    })
  }
}

const readText = (name: string): string => read(name).toString('utf8')
const shakespeare = (): string => readFileSync(shakespearePath, 'utf8')

/** A prefix of so many bytes, without half a character at its end. */
function prefix(text: string, bytes: number): string {
  return Buffer.from(text)
    .subarray(0, bytes)
    .toString('utf8')
    .replace(/\ufffd+$/, '')
}

const prose = {
  english: 'A/pytorch+examples/wikitext-2/valid.txt',
  moreEnglish: 'A/pytorch+examples/wikitext-2/test.txt',
  japanese: 'A/google+sentencepiece/wagahaiwa_nekodearu.txt',
  chinese: 'A/tennessine+corpus/三国演义.txt',
  moreChinese: 'A/tennessine+corpus/水浒传.txt',
  mostChinese: 'A/tennessine+corpus/红楼梦.txt',
}

const texts: Readonly<Record<string, () => string>> = {
  shakespeare,
  /** English, Japanese and Chinese in turn, 2,000 bytes of each. */
  mixed: () => {
    const sources = [shakespeare(), readText(prose.japanese), readText(prose.chinese)].map(text => Buffer.from(text))
    const parts: Buffer[] = []
    for (let at = 0; at < 340_000; at += 2000) parts.push(...sources.map(source => source.subarray(at, at + 2000)))
    return prefix(Buffer.concat(parts).toString('utf8').replaceAll('\ufffd', ''), 1_000_000)
  },
  corpus: () => prefix([shakespeare(), ...Object.values(prose).map(readText)].join('\n'), 10_000_000),
}

export function corpusText(name: string): string {
  return texts[name]!()
}

const vocabularies: Readonly<Record<string, () => ImportedTokenizer>> = {
  gpt2: () =>
    importVocabAndMerges(
      JSON.parse(readText('B/graykode+gpt-2-Pytorch/encoder.json')),
      readText('B/graykode+gpt-2-Pytorch/vocab.bpe'),
    ),
  bert: () => importVocabTxt(readText('B/opensearch-project+ml-commons/bert-base-uncased.vocab.txt')),
  llama2: () => importSentencePiece(read('B/karpathy+llama2.c/tokenizer.model'), { addBosToken: true }),
  llama3: () => importTiktoken(readText('B/meta-llama+llama-models/llama3/tokenizer.model'), 'llama3'),
}

export function vocabulary(name: string): ImportedTokenizer {
  return vocabularies[name]!()
}
