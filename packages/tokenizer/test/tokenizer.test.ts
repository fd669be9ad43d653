import { testTokenizer } from './test-tokenizer.ts'

testTokenizer('byte-level-bpe')
testTokenizer('roberta-bpe')
testTokenizer('llama2-bpe')
testTokenizer('llama2-metaspace')
testTokenizer('llama3-bpe')
testTokenizer('suffix-bpe')
testTokenizer('wordpiece')
testTokenizer('unigram')
testTokenizer('unigram-bytes')
testTokenizer('word-level')
