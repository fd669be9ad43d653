/**
 * Meta's own checkpoints of LLaMA: `params.json` and one or several `consolidated.NN.pth`, each with a part of every matrix.
 * Names and layouts as in meta-llama/llama `model.py`; how the parts join as in fairscale's parallel layers.
 */
import {
  HeedError,
  ifFound,
  isHeedError,
  openTorchCheckpoint,
  parseStrictJson,
  readText,
  type TensorFile,
} from '@heed/tensor-backend'
import type { Checkpoint, CheckpointFormat, HfConfig } from '@heed/transformer'
import { type LazyTensor, lazyTensors } from './lazy-tensors.ts'
import { halvesFromPairs } from './rotary-rows.ts'

type Params = Record<string, unknown>

const layerNames: Readonly<Record<string, string>> = {
  'attention.wq': 'self_attn.q_proj',
  'attention.wk': 'self_attn.k_proj',
  'attention.wv': 'self_attn.v_proj',
  'attention.wo': 'self_attn.o_proj',
  'feed_forward.w1': 'mlp.gate_proj',
  'feed_forward.w2': 'mlp.down_proj',
  'feed_forward.w3': 'mlp.up_proj',
  attention_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
}
const outerNames: Readonly<Record<string, string>> = {
  tok_embeddings: 'model.embed_tokens',
  norm: 'model.norm',
  output: 'lm_head',
}

/** Meta's checkpoints by folder or file, for `registerCheckpointFormat`. */
export const metaFormat: CheckpointFormat = {
  name: 'meta',
  async open(location, overruled) {
    if (location instanceof Map || /^(https?|data|blob):|\.(gguf|bin|safetensors)$/.test(String(location)))
      return undefined
    const path = String(location).replace(/\/$/, '')
    if (/\.pth?$/i.test(path)) {
      const params = await readParams(path.replace(/[^/\\]*$/, 'params.json'))
      return openMeta(path, [path], params ?? {}, overruled)
    }
    const params = await readParams(`${path}/params.json`)
    return params && openMeta(path, await shardPaths(path), params, overruled)
  },
}

async function readParams(path: string): Promise<Params | undefined> {
  let text: string
  try {
    text = await readText(path)
  } catch (error) {
    if (isHeedError(error) && (error.code === 'HEED_FILE_NOT_FOUND' || error.code === 'HEED_IO')) return undefined
    throw error
  }
  const json = parseStrictJson(text, path)
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Params
  throw new HeedError('HEED_FILE_INVALID', `${path}: content is ${text.slice(0, 80)}, expected an object.`)
}

/** `consolidated.00.pth`, `consolidated.01.pth`, ... up to the first that is not there. */
async function shardPaths(folder: string): Promise<string[]> {
  const paths: string[] = []
  for (;;) {
    const path = `${folder}/consolidated.${String(paths.length).padStart(2, '0')}.pth`
    if (!(await exists(path))) break
    paths.push(path)
  }
  if (paths.length > 0) return paths
  throw new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${folder}: there is a params.json and no consolidated.00.pth, expected both. Download the weights.`,
  )
}

async function exists(path: string): Promise<boolean> {
  const file = await ifFound(() => openTorchCheckpoint(path))
  await file?.close()
  return file !== undefined
}

/** `layers.3.attention.wq.weight` -> `model.layers.3.self_attn.q_proj.weight`; undefined for the rotary table. */
function hfName(name: string, source: string): string | undefined {
  if (name === 'rope.freqs') return undefined
  const [, index, part] = /^layers\.(\d+)\.(.+)\.weight$/.exec(name) ?? []
  const inLayer = part !== undefined && Object.hasOwn(layerNames, part) ? layerNames[part] : undefined
  if (inLayer) return `model.layers.${index}.${inLayer}.weight`
  const outer = name.replace(/\.weight$/, '')
  if (Object.hasOwn(outerNames, outer)) return `${outerNames[outer]}.weight`
  throw new HeedError('HEED_FILE_INVALID', `${source}: tensor ${JSON.stringify(name)} is not one of Meta's LLaMA.`)
}

/** Along which axis the parts of a matrix join; undefined where every file has the whole. */
function joinAxis(name: string, [, cols]: readonly number[], numShards: number, dim: number): 0 | 1 | undefined {
  if (cols === undefined) return undefined
  if (name.startsWith('tok_embeddings')) return cols * numShards === dim && numShards > 1 ? 1 : 0
  return /\.(wo|w2)\.weight$/.test(name) ? 1 : 0
}

async function openMeta(
  location: string,
  paths: readonly string[],
  params: Params,
  overruled: HfConfig,
): Promise<Checkpoint> {
  const files: TensorFile[] = []
  const close = async (): Promise<void> => {
    for (const file of files) await file.close()
  }
  try {
    for (const path of paths) files.push(await openTorchCheckpoint(path))
    checkParts(files)
    const config = configOf(location, files, params, overruled)
    await close()
    return {
      config,
      source: location,
      async openTensors() {
        const opened = await Promise.all(paths.map(path => openTorchCheckpoint(path)))
        const closeAll = async (): Promise<void> => void (await Promise.all(opened.map(file => file.close())))
        return lazyTensors(location, joinedTensors(location, opened, config), closeAll)
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Each file has a part of every tensor, all parts of one shape. Throws HEED_FILE_INVALID. */
function checkParts([first, ...others]: readonly TensorFile[]): void {
  for (const [name, { shape }] of first!.tensors) {
    for (const file of others) {
      const other = file.tensors.get(name)?.shape
      if (other?.join() === shape.join()) continue
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${file.name}: tensor ${JSON.stringify(name)} is ${other ? `of shape [${other.join(', ')}]` : 'missing'}, ` +
          `expected [${shape.join(', ')}] as in ${first!.name}. The files are of different models.`,
      )
    }
  }
}

function joinedTensors(location: string, files: readonly TensorFile[], config: HfConfig): Map<string, LazyTensor> {
  const {
    hidden_size: dim,
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
  } = config as Record<string, number>
  const tensors = new Map<string, LazyTensor>()
  for (const [name, { dtype, shape }] of files[0]!.tensors) {
    const key = hfName(name, location)
    if (key === undefined) continue
    const axis = joinAxis(name, shape, files.length, dim!)
    const whole = shape.map((size, i) => (i === axis ? size * files.length : size))
    const paired = /\.wq\./.test(name) ? heads : /\.wk\./.test(name) ? keyHeads : undefined
    const bytes = async (): Promise<Uint8Array> => {
      const parts: Uint8Array[] = []
      for (const file of axis === undefined ? files.slice(0, 1) : files) parts.push((await file.readRaw(name)).bytes)
      const all = joined(parts, axis === 1 ? shape[0]! : 1)
      return paired === undefined ? all : halvesFromPairs(all, whole[0]!, paired)
    }
    tensors.set(key, { dtype, shape: whole, bytes })
  }
  return tensors
}

/** Parts one after the other, in each of `rows` rows. */
function joined(parts: readonly Uint8Array[], rows: number): Uint8Array {
  if (parts.length === 1) return parts[0]!
  const rowBytes = parts[0]!.length / rows
  const result = new Uint8Array(parts.length * parts[0]!.length)
  for (const [i, part] of parts.entries()) {
    for (let row = 0; row < rows; row++) {
      result.set(part.subarray(row * rowBytes, (row + 1) * rowBytes), (row * parts.length + i) * rowBytes)
    }
  }
  return result
}

/** LLaMA 3.1's stretching of angles, which `use_scaled_rope` stands for. */
const scaledRope = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
}

function configOf(source: string, files: readonly TensorFile[], params: Params, overruled: HfConfig): HfConfig {
  const { tensors } = files[0]!
  const shapeOf = (name: string): readonly number[] => {
    const shape = tensors.get(name)?.shape
    if (shape?.length === 2) return shape
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${source}: there is no matrix "${name}", expected a LLaMA in Meta's layout.`,
    )
  }
  const number = (key: string): number | undefined => (typeof params[key] === 'number' ? params[key] : undefined)
  const dim = tensors.get('norm.weight')?.shape[0] ?? shapeOf('tok_embeddings.weight')[1]!
  const heads = (overruled.num_attention_heads as number | undefined) ?? number('n_heads')
  if (heads === undefined) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${source}: n_heads is missing, expected it in a params.json beside the weights. ` +
        'Add the file, or give config: { num_attention_heads }.',
    )
  }
  const rows = shapeOf('layers.0.attention.wq.weight')[0]! * files.length
  if (rows !== dim) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${source}: layers.0.attention.wq.weight has ${rows} rows in ${files.length === 1 ? 'one file' : `${files.length} files`}, ` +
        `expected ${dim}. ${rows < dim ? 'A consolidated.NN.pth is missing: download it.' : 'A file is there twice.'}`,
    )
  }
  const headDim = dim / heads
  const table = shapeOf('tok_embeddings.weight')
  const tableAxis = joinAxis('tok_embeddings', table, files.length, dim)
  const layers = new Set(Array.from(tensors.keys(), name => /^layers\.(\d+)\./.exec(name)?.[1]).filter(Boolean))
  return {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: tableAxis === 0 ? table[0]! * files.length : table[0]!,
    hidden_size: dim,
    intermediate_size: shapeOf('layers.0.feed_forward.w1.weight')[0]! * files.length,
    num_hidden_layers: layers.size,
    num_attention_heads: heads,
    num_key_value_heads: (shapeOf('layers.0.attention.wk.weight')[0]! * files.length) / headDim,
    max_position_embeddings: number('max_seq_len') ?? (params.use_scaled_rope === true ? 131072 : 4096),
    rms_norm_eps: number('norm_eps') ?? 1e-5,
    rope_theta: number('rope_theta') ?? 10000,
    rope_scaling: params.use_scaled_rope === true ? scaledRope : null,
    tie_word_embeddings: !tensors.has('output.weight'),
    ...overruled,
  }
}
