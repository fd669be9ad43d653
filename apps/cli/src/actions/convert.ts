import { stat } from 'node:fs/promises'
import { init } from '@heed/tensor-backend'
import { exportGgufVocabulary, Tokenizer } from '@heed/tokenizer'
import { openPretrained } from '@heed/transformer'
import { AutoModelForCausalLM, HeedError, loadTokenizer, writeGgufModel } from 'heed'
import type { ConvertOptions, TypeName } from '../commands/convert.ts'
import { fail } from '../failure.ts'
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
} as const satisfies Record<TypeName, string>

const isGguf = (path: string): boolean => /\.gguf$/i.test(path)

/** Writes a GGUF file in few bits. Throws HEED_ARGUMENT_INVALID where `out` is no such name, and as `convert`. */
export async function quantize(path: string, out: string, options: ConvertOptions): Promise<void> {
  if (isGguf(out)) return convert(path, out, options)
  throw new HeedError('HEED_ARGUMENT_INVALID', `quantize: out is ${out}, expected a name that ends in .gguf.`)
}

/** Writes a folder, or a GGUF file where `out` is such a name. Throws as `openPretrained` and the writers. */
export async function convert(
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

/**
 * Lets Ctrl-C or SIGTERM end the process at once as an aborted command, saying `message`; files that are not written to their
 * end go with it.
 */
function failWhenInterrupted(message: string, isJson: boolean): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => fail(new HeedError('HEED_ABORTED', message), isJson))
  }
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
