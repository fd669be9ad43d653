import { Command, Option } from 'commander'
import { numberBetween, repeated, wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { type FinetuneTask, finetuneTasks, type QuantizedType, quantizedTypes } from '../finetune/choices.ts'
import { splitHelp } from '../load-options.ts'
import { type RunFlags, samplePromptOption, type TrainingFlags, trainingOptions } from '../training-options.ts'

export interface FinetuneOptions extends RunFlags, TrainingFlags {
  recipe?: string
  data?: string
  split?: string
  config?: string
  textColumn?: string
  task?: FinetuneTask
  validation?: string[]
  evalSplit?: string
  validationSplit?: number
  blockSize?: number
  epochs?: number
  freezeLayers?: number
  loraR?: number
  loraAlpha?: number
  loraDropout?: number
  targetModules?: string[]
  quantize?: QuantizedType
  merge?: boolean
  samplePrompt?: string[]
  dpoBeta?: number
}

/** `heed finetune`: a pretrained model and some data in, a model or an adapter out. */
export function finetuneCommand(): Command {
  const command = new Command('finetune')
    .description(
      'Teach a pretrained model from texts, chats, labelled texts or preferences: all of it, its last layers, or adapters (LoRA).',
    )
    .argument('[model]', 'an HF folder or hub id, or a .gguf file; left out when the recipe names one')
    .argument(
      '[files...]',
      'texts; .jsonl of chats (messages) or preferences (prompt, chosen, rejected); .jsonl, .csv, .tsv, .parquet or .arrow of text and label; or a data set: its folder, or user/name on the hub',
    )
    .option('--recipe <file>', 'a YAML or JSON file that says all of it; options go before it. See examples/recipes')
    .option(
      '--data <path>',
      'the folder of the files of a recipe, which is its own when left out; without a recipe, data',
    )
    .option('--split <name>', splitHelp)
    .option('--config <name>', 'of a data set that has several')
    .option('--text-column <name>', 'where the text is in rows (default: "text")')
    .requiredOption('--out <folder>', 'where checkpoints, metrics, report.html and model/ or adapter/ go')
    .addOption(
      new Option(
        '--task <task>',
        'what to learn; by the files when left out: rows with labels, chats, or text',
      ).choices(finetuneTasks),
    )
    .option('--validation <file>', 'file or data set to validate with; may be given again', repeated)
    .option('--eval-split <name>', 'of it, or else of the data, to validate with, such as "test" or "train[90%:]"')
    .option(
      '--validation-split <x>',
      'without these, this part of the data is (default: 0.1)',
      numberBetween(0.0001, 0.9),
    )
    .option('--block-size <n>', 'most tokens of an example (default: what the model takes, up to 512)', wholeNumber(2))
    .option('--epochs <x>', 'times through the data, unless --steps says (default: 3)', numberBetween(0.001, 100_000))
    .option('--freeze-layers <n>', 'keep the embeddings and the first n layers as they are', wholeNumber(0))
    .option('--lora-r <n>', 'train adapters of this rank, and leave the weights as they are', wholeNumber(1))
    .option('--lora-alpha <x>', 'their scale times the rank (default: 8)', numberBetween(0.001, 100_000))
    .option('--lora-dropout <x>', 'dropout before them (default: 0)', numberBetween(0, 0.99))
    .option(
      '--target-modules <names>',
      'layers they are beside, such as q_proj,v_proj (default: query and value)',
      list,
    )
    .option(
      '--dpo-beta <x>',
      'how near a preference stays to the model before (default: 0.1)',
      numberBetween(0.0001, 100),
    )
    .addOption(
      new Option('--quantize <type>', 'keep the base in few bits while adapters learn (QLoRA)').choices(quantizedTypes),
    )
    .option('--merge', 'write model/ with the adapters in its weights too')
    .addOption(samplePromptOption())
  return trainingOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  heed finetune my-model book.txt --out runs/book --freeze-layers 8\n' +
        '  heed finetune my-model chats.jsonl --out runs/chat --lora-r 8 --lora-alpha 16 --merge\n' +
        '  heed finetune my-bert opinions.csv --out runs/opinions --epochs 10\n' +
        '  heed finetune my-bert user/reviews --split "train[:5000]" --eval-split "test[:500]" --out runs/reviews\n' +
        '  heed finetune --recipe recipe.yaml --out runs/chat --dry-run',
    )
    .action(
      action(async (model: string | undefined, files: string[], options: FinetuneOptions) => {
        const { finetune } = await import('../actions/finetune.ts')
        await finetune(model, files, options)
      }),
    )
}

const list = (names: string): string[] => names.split(',').map(name => name.trim())
