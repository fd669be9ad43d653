/** The names that llama.cpp gives to the tensors of the family, and those of HF: gguf-py `tensor_mapping.py`. */

/** How the tensors of one `general.architecture` of GGUF are called in HF's files. */
export interface GgufLayout {
  /** HF's `model_type`. */
  readonly modelType: string
  /** Within a layer: GGUF's name to HF's. */
  readonly layer: Readonly<Record<string, string>>
  /** Rows of queries and keys lie in pairs (0, 1), (2, 3), ... that turn together, and not as two halves. */
  readonly isPaired?: boolean
  /** Norms are stored with the 1 that HF's model adds to them. */
  readonly countsNormsFromOne?: boolean
}

const attention = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
}
const headNorms = { attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' }
const feedForward = { ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj' }
const preNorm = { ...attention, ffn_norm: 'post_attention_layernorm' }
const plain = { ...preNorm, ...feedForward }
const bothSides = {
  ...attention,
  ...feedForward,
  post_attention_norm: 'post_attention_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
}
/** `*` stands for the number of the expert: GGUF keeps all experts of a layer in one tensor. */
const experts = {
  ffn_gate_inp: 'mlp.gate',
  ffn_gate_exps: 'mlp.experts.*.gate_proj',
  ffn_up_exps: 'mlp.experts.*.up_proj',
  ffn_down_exps: 'mlp.experts.*.down_proj',
}
const mixtralExperts = {
  ffn_gate_inp: 'block_sparse_moe.gate',
  ffn_gate_exps: 'block_sparse_moe.experts.*.w1',
  ffn_up_exps: 'block_sparse_moe.experts.*.w3',
  ffn_down_exps: 'block_sparse_moe.experts.*.w2',
}
const sharedExpert = {
  ffn_gate_inp_shexp: 'mlp.shared_expert_gate',
  ffn_gate_shexp: 'mlp.shared_expert.gate_proj',
  ffn_up_shexp: 'mlp.shared_expert.up_proj',
  ffn_down_shexp: 'mlp.shared_expert.down_proj',
}

/** By `general.architecture`; Mistral and Mixtral go by `llama` there. */
export const ggufLayouts: Readonly<Record<string, GgufLayout>> = {
  llama: { modelType: 'llama', layer: plain, isPaired: true },
  mixtral: { modelType: 'mixtral', layer: { ...preNorm, ...mixtralExperts }, isPaired: true },
  smollm3: { modelType: 'smollm3', layer: plain, isPaired: true },
  qwen2: { modelType: 'qwen2', layer: plain },
  qwen3: { modelType: 'qwen3', layer: { ...plain, ...headNorms } },
  qwen2moe: { modelType: 'qwen2_moe', layer: { ...plain, ...experts, ...sharedExpert } },
  qwen3moe: { modelType: 'qwen3_moe', layer: { ...plain, ...headNorms, ...experts } },
  gemma: { modelType: 'gemma', layer: plain, countsNormsFromOne: true },
  gemma2: { modelType: 'gemma2', layer: bothSides, countsNormsFromOne: true },
  gemma3: { modelType: 'gemma3_text', layer: { ...bothSides, ...headNorms }, countsNormsFromOne: true },
  phi3: {
    modelType: 'phi3',
    layer: {
      ...preNorm,
      attn_qkv: 'self_attn.qkv_proj',
      ffn_up: 'mlp.gate_up_proj',
      ffn_down: 'mlp.down_proj',
    },
  },
  olmo2: {
    modelType: 'olmo2',
    layer: {
      ...attention,
      ...headNorms,
      ...feedForward,
      post_attention_norm: 'post_attention_layernorm',
      post_ffw_norm: 'post_feedforward_layernorm',
    },
  },
}

const outside: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
}

/** HF's name of a tensor of GGUF, with `*` in the place of an expert's number; undefined when the layout has no such tensor. */
export function hfName(name: string, { layer }: GgufLayout): string | undefined {
  if (Object.hasOwn(outside, name)) return outside[name]
  const [, index, part, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? []
  if (part === undefined || !Object.hasOwn(layer, part)) return undefined
  return `model.layers.${index}.${layer[part]}.${kind}`
}

/** GGUF's name of a tensor of HF, and which expert it is of where all share one; undefined when the layout has no such tensor. */
export function ggufName(key: string, { layer }: GgufLayout): { name: string; expert?: number } | undefined {
  const found = Object.entries(outside).find(([, hf]) => hf === key)
  if (found) return { name: found[0] }
  const [, index, path, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(key) ?? []
  if (path === undefined) return undefined
  const [, expert] = /\.experts\.(\d+)\./.exec(path) ?? []
  const general = path.replace(/\.experts\.\d+\./, '.experts.*.')
  const part = Object.entries(layer).find(([, hf]) => hf === general)?.[0]
  if (part === undefined) return undefined
  return { name: `blk.${index}.${part}.${kind}`, ...(expert !== undefined && { expert: Number(expert) }) }
}
