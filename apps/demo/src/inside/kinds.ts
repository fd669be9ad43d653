import type { Part } from './module-tree.ts'

export const kinds = [
  'embedding',
  'norm',
  'attention',
  'feedForward',
  'linear',
  'dropout',
  'residual',
  'layer',
  'head',
  'list',
  'model',
] as const
export type Kind = (typeof kinds)[number]

const byClass: Array<[RegExp, Kind]> = [
  [/^$/, 'list'],
  [/Embeddings?$/, 'embedding'],
  [/Norm$/, 'norm'],
  [/Attention$/, 'attention'],
  [/FeedForward$|Mlp$/, 'feedForward'],
  [/^Linear$|^Conv1D$/, 'linear'],
  [/^Dropout$/, 'dropout'],
  [/^Residual$/, 'residual'],
  [/Layer$|Block$/, 'layer'],
  [/Head$/, 'head'],
]

/** What a part is, by HF's and PyTorch's ways to name classes. */
export function kindOf({ className }: Part): Kind {
  return byClass.find(([pattern]) => pattern.test(className))?.[1] ?? 'model'
}

const layersInTurn = 'x_{l+1} = layer_{l}(x_{l})'
const preNorm = ['h = x + attention(norm(x))', 'y = h + mlp(norm(h))']
const attention = ['head_{i} = softmax(q_{i} k_{i}^{T} / √d) v_{i}', 'y = [head_{1}, …, head_{h}] W_{o}']

/** The formulas of each class, `_{}` below and `^{}` above the line. */
const formulas: Record<string, string[]> = {
  '': [layersInTurn],
  Embedding: ['x_{t} = E[id_{t}]'],
  Linear: ['y = x W^{T} + b'],
  Conv1D: ['y = x W + b'],
  LayerNorm: ['y = (x − mean(x)) / √(var(x) + ε) · w + b'],
  RMSNorm: ['y = x / √(mean(x^{2}) + ε) · w'],
  Dropout: ['y = x', 'y = mask ⊙ x / (1 − p)   in training'],
  MultiHeadAttention: attention,
  Gpt2Attention: ['[q, k, v] = x W + b', ...attention],
  LlamaAttention: ['q_{m} = R_{m} W_{q} x_{m},   k_{n} = R_{n} W_{k} x_{n}', ...attention],
  FeedForward: ['y = relu(x W_{1}^{T} + b_{1}) W_{2}^{T} + b_{2}'],
  Gpt2Mlp: ['y = gelu(x W_{1} + b_{1}) W_{2} + b_{2}'],
  GatedFeedForward: ['y = (silu(x W_{gate}^{T}) ⊙ x W_{up}^{T}) W_{down}^{T}'],
  Residual: ['y = norm(x + sublayer(x))'],
  TransformerEncoderLayer: ['h = norm(x + attention(x))', 'y = norm(h + ff(h))'],
  TransformerDecoderLayer: ['g = norm(x + attention(x))', 'h = norm(g + attention(g, memory))', 'y = norm(h + ff(h))'],
  BertLayer: ['h = norm(x + attention(x))', 'y = norm(h + gelu(h W_{1}^{T} + b_{1}) W_{2}^{T} + b_{2})'],
  Gpt2Block: preNorm,
  LlamaDecoderLayer: preNorm,
  BertEmbeddings: ['x = norm(E_{word} + E_{position} + E_{type})'],
  MaskedLmHead: ['scores = norm(gelu(x W^{T} + b)) E^{T} + b′'],
  BertModel: ['x_{0} = embeddings(ids)', layersInTurn],
  Gpt2Model: ['x_{0} = E[ids] + P[0, 1, …]', layersInTurn, 'y = norm(x_{L})'],
  LlamaModel: ['x_{0} = E[ids]', layersInTurn, 'y = norm(x_{L})'],
  Transformer: ['memory = encoder(√d E[source] + PE)', 'P(next) = softmax(decoder(√d E[target] + PE, memory) E^{T})'],
  BertForMaskedLM: ['P(token) = softmax(head(bert(ids)))'],
  Gpt2LMHeadModel: ['P(next) = softmax(transformer(ids) E^{T})'],
  LlamaForCausalLM: ['P(next) = softmax(model(ids) E^{T})'],
}

/** What a part computes; without the bias that it may lack. */
export function formulasOf({ className, tensors }: Part): string[] {
  const hasBias = tensors.some(({ name }) => name.endsWith('bias'))
  const found = formulas[className] ?? []
  return className === 'Linear' && !hasBias ? found.map(formula => formula.replace(' + b', '')) : found
}
