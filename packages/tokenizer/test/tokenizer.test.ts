import { testTokenizer } from './test-tokenizer.ts'

testTokenizer('byte-level-bpe')
