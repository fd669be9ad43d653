import { byteCharacters } from './byte-alphabet.ts'
import { ByteLevelDecoder } from './decoders/byte-level.ts'
import { BpeModel, type BpeOptions } from './models/bpe.ts'
import { ByteLevelPostProcessor } from './post-processors/byte-level.ts'
import { ByteLevelPreTokenizer } from './pre-tokenizers/byte-level.ts'
import { Tokenizer } from './tokenizer.ts'
import type { TokenizerConfig } from './tokenizer-config.ts'

/** The characters that stand for the 256 bytes: the initial alphabet of a byte-level BPE trainer. */
export const byteLevelAlphabet: readonly string[] = byteCharacters

export interface ByteLevelBpeOptions extends BpeOptions {
  /** Whether a text that does not begin with a space gets one. Default false, as GPT-2. */
  readonly addPrefixSpace?: boolean
  /** Whether offsets leave out the space before a word. Default false. */
  readonly trimOffsets?: boolean
  readonly config?: TokenizerConfig
}

/** A tokenizer like GPT-2's: no text is unknown to it. Empty until its vocabulary is given or trained. */
export function createByteLevelBpe(options: ByteLevelBpeOptions = {}): Tokenizer {
  const { addPrefixSpace = false, trimOffsets = false, config = {}, ...model } = options
  return new Tokenizer({
    model: new BpeModel(model),
    preTokenizer: new ByteLevelPreTokenizer({ addPrefixSpace }),
    postProcessor: new ByteLevelPostProcessor({ addPrefixSpace, trimOffsets }),
    decoder: new ByteLevelDecoder({ addPrefixSpace }),
    config,
  })
}
