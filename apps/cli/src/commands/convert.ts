import { stat } from 'node:fs/promises'
import { init } from '@heed/tensor-backend'
import { exportGgufVocabulary, Tokenizer } from '@heed/tokenizer'
import { openPretrained } from '@heed/transformer'
import { Command, Option } from 'commander'
import { AutoModelForCausalLM, HeedError, loadTokenizer, writeGgufModel } from 'heed'
import { action, failWhenInterrupted } from '../failure.ts'
import { isFile } from '../path-kind.ts'
import { formatBytes } from '../terminal/format.ts'
import { ProgressBar } from '../terminal/progress.ts'

const ggufTypes = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  q8_0: 'Q8_0',
  q6_k: 'Q6_K',
  q5_k: 'Q5_K',
  q4_k: 'Q4_K',
  q4_0: 'Q4_0',
  q3_k: 'Q3_K',
  q2_k: 'Q2_K',
} as const
type TypeName = keyof typeof ggufTypes

interface ConvertOptions {
  type: TypeName
  tokenizer?: string
  json?: boolean
}

/** `heed convert`: a model of any layout as an HF folder or a GGUF file. */
export function convertCommand(): Command {
  return new Command('convert')
    .description('Write a model of any layout as a HuggingFace folder, or as a GGUF file when <out> ends in .gguf.')
    .argument('<model>', "an HF folder or hub id, a .gguf, llama2.c's .bin, or Meta's folder")
    .argument('<out>', 'a folder, or a file that ends in .gguf')
    .addOption(typeOption('f32'))
    .option('--tokenizer <path>', 'of a model that comes without one, such as tokenizer.bin or tokenizer.model')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  heed convert my-model my-model.gguf --type f16\n  heed convert stories.bin stories --tokenizer tok512.bin',
    )
    .action(action((model: string, out: string, options: ConvertOptions) => convert(model, out, options)))
}

/** `heed quantize`: a GGUF file in few bits. */
export function quantizeCommand(): Command {
  return new Command('quantize')
    .description('Write a model as a GGUF file whose matrices have few bits; embeddings and head keep 6 or 8.')
    .argument('<model>', "an HF folder or hub id, a .gguf, llama2.c's .bin, or Meta's folder")
    .argument('<out>', 'a file that ends in .gguf')
    .addOption(typeOption('q4_0'))
    .option('--tokenizer <path>', 'of a model that comes without one')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  heed quantize my-model my-model-q4.gguf --type q4_k')
    .action(
      action(async (model: string, out: string, options: ConvertOptions) => {
        if (isGguf(out)) return convert(model, out, options)
        throw new HeedError('HEED_ARGUMENT_INVALID', `quantize: out is ${out}, expected a name that ends in .gguf.`)
      }),
    )
}

function typeOption(type: TypeName): Option {
  return new Option('--type <type>', 'what matrices are written as').choices(Object.keys(ggufTypes)).default(type)
}

const isGguf = (path: string): boolean => /\.gguf$/i.test(path)

async function convert(
  path: string,
  out: string,
  { type, json, tokenizer: tokenizerPath }: ConvertOptions,
): Promise<void> {
  failWhenInterrupted(`${out}: writing it was interrupted. Run the command again to have it.`, json === true)
  await init()
  const tokenizer = await findTokenizer(tokenizerPath ?? path, tokenizerPath !== undefined)
  if (isGguf(out)) await toGguf(path, out, type, tokenizer, json)
  else await toFolder(path, out, type, tokenizer)
  const bytes = isGguf(out) ? (await stat(out)).size : undefined
  if (json) console.log(JSON.stringify({ model: path, out, type, bytes, hasTokenizer: tokenizer !== undefined }))
  else console.log(`${out}${bytes === undefined ? '' : `: ${formatBytes(bytes)}`}`)
  if (!tokenizer) process.stderr.write('It has no tokenizer, since the model came without one: give --tokenizer.\n')
}

async function findTokenizer(path: string, isGiven: boolean): Promise<Tokenizer | undefined> {
  try {
    return isGiven && (await isFile(path)) ? await Tokenizer.fromFile(path) : await loadTokenizer(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (!isGiven && code === 'HEED_FILE_NOT_FOUND') return undefined
    throw error
  }
}

async function toGguf(
  path: string,
  out: string,
  type: TypeName,
  tokenizer: Tokenizer | undefined,
  isQuiet = false,
): Promise<void> {
  const checkpoint = await openPretrained(path)
  let bar: ProgressBar | undefined
  await writeGgufModel(out, checkpoint, {
    type: ggufTypes[type],
    ...(tokenizer && { vocabulary: exportGgufVocabulary(tokenizer, Number(checkpoint.config.vocab_size)) }),
    onProgress({ key, written, total }) {
      bar ??= new ProgressBar('convert', total, isQuiet)
      bar.update(written, key)
    },
  })
  bar?.clear()
}

async function toFolder(path: string, out: string, type: TypeName, tokenizer: Tokenizer | undefined): Promise<void> {
  const dtype = ggufTypes[type]
  if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16') {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `convert: type is ${type}, expected f32, f16 or bf16 for a HuggingFace folder.`,
    )
  }
  const model = await AutoModelForCausalLM.fromPretrained(path, { dtype: 'float32' })
  await model.savePretrained(out, { dtype })
  await tokenizer?.save(out)
  model.dispose()
}
