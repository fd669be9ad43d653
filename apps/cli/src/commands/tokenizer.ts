import { BpeTrainer, byteLevelAlphabet, createByteLevelBpe, Tokenizer } from '@heed/tokenizer'
import { readTextFiles } from '@heed/trainer'
import { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { inputText } from '../input-text.ts'
import { formatCount } from '../terminal/format.ts'
import { ProgressBar } from '../terminal/progress.ts'

/** The token that ends a text, as in GPT-2's vocabulary. */
export const endOfText = '<|endoftext|>'

/**
 * Trains a byte-level BPE tokenizer, as GPT-2's, on lines of text; its config names `<|endoftext|>` as first and last token.
 * Throws as `BpeTrainer`.
 */
export async function trainByteLevelBpe(
  text: string,
  options: { vocabSize: number; minFrequency: number; isQuiet: boolean },
): Promise<Tokenizer> {
  const tokenizer = createByteLevelBpe({
    config: { bos_token: endOfText, eos_token: endOfText, unk_token: endOfText },
  })
  const trainer = new BpeTrainer({
    vocabSize: options.vocabSize,
    minFrequency: options.minFrequency,
    specialTokens: [endOfText],
    initialAlphabet: byteLevelAlphabet,
  })
  const bar = new ProgressBar('tokenizer', options.vocabSize, options.isQuiet)
  const lines = text.split(/(?<=\n)/)
  await trainer.train(tokenizer, lines, {
    onProgress: ({ stage, done }) => stage === 'Compute merges' && bar.update(done, `${formatCount(done)} merges`),
  })
  bar.clear()
  return tokenizer
}

/** `heed tokenizer train | encode | decode`. */
export function tokenizerCommand(): Command {
  return new Command('tokenizer')
    .description('Train a tokenizer, or turn text into ids and back.')
    .addCommand(trainSubcommand())
    .addCommand(encodeSubcommand())
    .addCommand(decodeSubcommand())
}

function trainSubcommand(): Command {
  return new Command('train')
    .description('Train a byte-level BPE tokenizer and save it as a HuggingFace folder.')
    .argument('<files...>', 'UTF-8 text files')
    .requiredOption('--out <folder>', 'where tokenizer.json goes')
    .option('--vocab-size <n>', 'tokens, the 256 bytes and special ones included', wholeNumber(257), 8192)
    .option('--min-frequency <n>', 'merge a pair only if it occurs this often', wholeNumber(0), 2)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed tokenizer train data/*.txt --out my-tokenizer --vocab-size 4096')
    .action(
      action(
        async (
          files: string[],
          {
            out,
            json,
            vocabSize,
            minFrequency,
          }: { out: string; json?: boolean; vocabSize: number; minFrequency: number },
        ) => {
          const text = await readTextFiles(files)
          const tokenizer = await trainByteLevelBpe(text, { vocabSize, minFrequency, isQuiet: json === true })
          await tokenizer.save(out)
          if (json) console.log(JSON.stringify({ out, vocabSize: tokenizer.vocabSize }))
          else console.log(`saved ${out}: ${formatCount(tokenizer.vocabSize)} tokens`)
        },
      ),
    )
}

function encodeSubcommand(): Command {
  return new Command('encode')
    .description('Print the ids of a text; text comes from files, or from standard input.')
    .argument('<tokenizer>', 'a folder or a tokenizer.json')
    .argument('[files...]', 'UTF-8 text files; standard input when there are none')
    .option('--no-special-tokens', 'leave out the tokens that the post-processor adds')
    .option('--json', 'print one JSON object with ids, tokens and offsets')
    .addHelpText('after', '\nExample:\n  echo "To be, or not to be" | heed tokenizer encode my-tokenizer')
    .action(
      action(
        async (
          source: string,
          files: string[],
          { json, specialTokens }: { json?: boolean; specialTokens: boolean },
        ) => {
          const tokenizer = await loadTokenizer(source)
          const { ids, tokens, offsets } = tokenizer.encode(await inputText(files), { addSpecialTokens: specialTokens })
          console.log(json ? JSON.stringify({ ids: [...ids], tokens, offsets }) : [...ids].join(' '))
        },
      ),
    )
}

function decodeSubcommand(): Command {
  return new Command('decode')
    .description('Print the text of ids; they come as arguments, or from standard input.')
    .argument('<tokenizer>', 'a folder or a tokenizer.json')
    .argument('[ids...]', 'token ids; standard input when there are none')
    .option('--keep-special-tokens', 'keep special tokens in the text')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed tokenizer decode my-tokenizer 52 299 12')
    .action(
      action(async (source: string, given: string[], options: { json?: boolean; keepSpecialTokens?: boolean }) => {
        const tokenizer = await loadTokenizer(source)
        const words = given.length > 0 ? given : (await inputText([])).split(/[\s,[\]]+/).filter(Boolean)
        const text = tokenizer.decode(words.map(Number), { skipSpecialTokens: !options.keepSpecialTokens })
        console.log(options.json ? JSON.stringify({ text }) : text)
      }),
    )
}

async function loadTokenizer(source: string): Promise<Tokenizer> {
  return source.endsWith('.json') ? Tokenizer.fromFile(source) : Tokenizer.fromPretrained(source)
}
