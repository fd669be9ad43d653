import type { PieceSink, PreTokenizedText } from '../pre-tokenized-text.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

/** Signs one by one, the rest in runs between them and white space. ASCII signs count even if Unicode calls them symbols. */
const wordOrSign = /[\p{P}$+<=>^`|~]|[^\p{P}$+<=>^`|~\p{White_Space}]+/gu

function cut(text: string, sink: PieceSink): void {
  wordOrSign.lastIndex = 0
  for (let match = wordOrSign.exec(text); match; match = wordOrSign.exec(text)) {
    sink.add(match.index, wordOrSign.lastIndex)
  }
}

/** Words between white space, each sign of punctuation alone. Same pieces as the BasicTokenizer of google-research/bert. */
export class BertPreTokenizer implements PreTokenizer {
  preTokenize(text: PreTokenizedText): void {
    text.split(cut)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'BertPreTokenizer' }
  }
}
