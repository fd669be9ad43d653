import { Command, Option } from 'commander'
import { action } from '../failure.ts'

const types = ['f32', 'f16', 'bf16', 'q8_0', 'q6_k', 'q5_k', 'q4_k', 'q4_0', 'q3_k', 'q2_k'] as const
export type TypeName = (typeof types)[number]

export interface ConvertOptions {
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
    .action(
      action(async (model: string, out: string, options: ConvertOptions) => {
        const { convert } = await import('../actions/convert.ts')
        await convert(model, out, options)
      }),
    )
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
        const { quantize } = await import('../actions/convert.ts')
        await quantize(model, out, options)
      }),
    )
}

function typeOption(type: TypeName): Option {
  return new Option('--type <type>', 'what matrices are written as').choices(types).default(type)
}
