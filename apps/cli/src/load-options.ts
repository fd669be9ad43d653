import { Option } from 'commander'

/** `--dtype`, for commands that load a model. */
export function dtypeOption(): Option {
  return new Option(
    '--dtype <dtype>',
    'keep matrices as this; as they are in a .gguf, else float32, by default',
  ).choices(['auto', 'float32', 'float16', 'bfloat16', 'q8_0', 'q4_0'])
}
