import { Option } from 'commander'

/** What commands that write texts take as their model. */
export const modelHelp = "an HF folder or hub id, of a model or an adapter, a .gguf file, or Meta's folder"

/** `--dtype`, for commands that load a model. */
export function dtypeOption(): Option {
  return new Option(
    '--dtype <dtype>',
    'keep matrices as this; as they are in a .gguf, else float32, by default',
  ).choices(['auto', 'float32', 'float16', 'bfloat16', 'q8_0', 'q4_0'])
}

/** `--cache-dtype`, for commands that write long texts. */
export function cacheDtypeOption(): Option {
  return new Option(
    '--cache-dtype <dtype>',
    'hold keys and values of the text as this: in a half (float16) or a quarter (q8_0) of the memory',
  )
    .choices(['float32', 'float16', 'q8_0'])
    .default('float32')
}

/** `--split`, for commands that take data sets. */
export const splitHelp =
  'of a data set, or a part of it or of a file, such as "train[:10%]" or "train[100:200]+test" (default: "train")'

/** What commands on tokenizers take. */
export const tokenizerHelp = 'a folder, a tokenizer.json, or a .model, .tiktoken, .gguf or vocab.txt file'
