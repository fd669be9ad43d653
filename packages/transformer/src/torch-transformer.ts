import type { Parameter } from '@heed/layers'
import { HeedError, tf } from '@heed/tensor-backend'

/** Names of `torch.nn.Transformer` and ours, for each layer of a stack. */
const layerNames: readonly [torch: string, ours: string][] = [
  ['self_attn.out_proj', 'self_attn.out_proj'],
  ['multihead_attn.out_proj', 'encoder_attn.out_proj'],
  ['linear1', 'fc1'],
  ['linear2', 'fc2'],
]

const encoderNorms: readonly [torch: string, ours: string][] = [
  ['norm1', 'self_attn_layer_norm'],
  ['norm2', 'final_layer_norm'],
]

const decoderNorms: readonly [torch: string, ours: string][] = [
  ['norm1', 'self_attn_layer_norm'],
  ['norm2', 'encoder_attn_layer_norm'],
  ['norm3', 'final_layer_norm'],
]

const projections = ['q_proj', 'k_proj', 'v_proj'] as const

/** `encoder.layers.0.norm1.weight` -> its stack, its layer and the rest. */
const layerKey = /^(encoder|decoder)\.layers\.(\d+)\.(.+)\.(weight|bias)$/
const packedKey = /^(encoder|decoder)\.layers\.(\d+)\.(self_attn|multihead_attn)\.in_proj_(weight|bias)$/

/**
 * The state dict of a `torch.nn.Transformer` under the keys of `Transformer`, for `loadStateDict` with `strict: false`: it has no
 * embeddings. Queries, keys and values, which it packs into one matrix, are taken apart. The caller disposes of the tensors.
 * Throws HEED_STATE_DICT_MISMATCH on a key that such a state dict does not have.
 */
export function stateFromTorch(state: ReadonlyMap<string, tf.Tensor>): Map<string, tf.Tensor> {
  const renamed = new Map<string, tf.Tensor>()
  for (const [key, tensor] of state) {
    const packed = packedKey.exec(key)
    if (packed) {
      const [, stack, layer, attention, kind] = packed
      const name = attention === 'self_attn' ? 'self_attn' : 'encoder_attn'
      const parts = tf.split(tensor, 3, 0)
      for (const [i, projection] of projections.entries()) {
        renamed.set(`${stack}.layers.${layer}.${name}.${projection}.${kind}`, parts[i]!)
      }
    } else {
      renamed.set(renamedKey(key), tensor.clone())
    }
  }
  return renamed
}

function renamedKey(key: string): string {
  if (/^(encoder|decoder)\.norm\.(weight|bias)$/.test(key)) return key
  const [, stack, layer, part, kind] = layerKey.exec(key) ?? []
  const norms = stack === 'encoder' ? encoderNorms : decoderNorms
  const found = [...layerNames, ...norms].find(([torch]) => torch === part)
  if (found) return `${stack}.layers.${layer}.${found[1]}.${kind}`
  throw new HeedError(
    'HEED_STATE_DICT_MISMATCH',
    `stateFromTorch: key is ${JSON.stringify(key)}, expected one of torch.nn.Transformer's. Give the state dict of that module alone.`,
  )
}

/** The state dict that `torch.nn.Transformer` loads, from that of a `Transformer` with final norms; embeddings are left out. */
export function stateToTorch(state: ReadonlyMap<string, Parameter>): Map<string, tf.Tensor> {
  const renamed = new Map<string, tf.Tensor>()
  for (const [key, parameter] of state) {
    const [, stack, layer, part, kind] = layerKey.exec(key) ?? []
    if (!stack) {
      if (/^(encoder|decoder)\.norm\./.test(key)) renamed.set(key, parameter.clone())
      continue
    }
    const norms = stack === 'encoder' ? encoderNorms : decoderNorms
    const found = [...layerNames, ...norms].find(([, ours]) => ours === part)
    if (found) {
      renamed.set(`${stack}.layers.${layer}.${found[0]}.${kind}`, parameter.clone())
    } else if (part!.endsWith('q_proj')) {
      const attention = part!.slice(0, -'.q_proj'.length)
      const keys = projections.map(name => `${stack}.layers.${layer}.${attention}.${name}.${kind}`)
      const packed = tf.concat(keys.map(name => state.get(name)!))
      const torchName = attention === 'self_attn' ? 'self_attn' : 'multihead_attn'
      renamed.set(`${stack}.layers.${layer}.${torchName}.in_proj_${kind}`, packed)
    }
  }
  return renamed
}
