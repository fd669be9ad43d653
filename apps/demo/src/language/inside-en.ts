import type { AttentionKind } from '../inside/inspect.ts'
import type { Kind } from '../inside/kinds.ts'
import type { InsideName } from '../worker/inside-worker.ts'

const count = (n: number): string => n.toLocaleString('en')

/** The texts of the page that looks into models. */
export const insideEn = {
  title: 'Inside a transformer',
  lead: 'Four small, real models, from 2017 to LLaMA. The picture is drawn from the modules of the model itself, and every number is what it computes from your sentence, here in the page.',
  model: 'Model',
  models: {
    transformer: { name: 'Transformer 2017', is: 'encoder and decoder, translates' },
    bert: { name: 'BERT', is: 'encoder, fills masks' },
    gpt2: { name: 'GPT-2', is: 'decoder, writes on' },
    llama: { name: 'LLaMA', is: 'decoder, writes on' },
  } satisfies Record<InsideName, { name: string; is: string }>,
  sentence: {
    transformer: 'An English sentence about dogs, cats, horses, books and lamps: it learned 1,269 of them',
    bert: 'A sentence with [MASK]: it knows sixteen countries',
    gpt2: 'The beginning of a story for children',
    llama: 'The beginning of a story for children',
  } satisfies Record<InsideName, string>,
  tokens: 'Tokens',
  reads: 'Reads',
  writes: 'Writes',
  diagram: 'The parts of the model',
  diagramHelp: 'Choose a part to see what it does. Arrow keys walk through the tree; right and left open and close.',
  openAll: 'Open all layers',
  closeLayers: 'Open one layer only',
  residualLine: 'goes past: residual connection',
  unused: 'does nothing here',
  part: 'The chosen part',
  shapes: 'Shapes',
  input: 'input',
  output: 'output',
  after: (activation: string) => `after ${activation}`,
  tied: 'shared with the embedding',
  parameters: (n: number) => (n === 0 ? 'nothing to learn here' : `${count(n)} learned numbers`),
  notCalled: 'This pass went without it: dropout of attention weights acts in training only.',
  call: 'Used more than once',
  callNumber: (i: number, of: number) => `${i} of ${of}`,
  values: 'For this sentence',
  learned: 'What it learned',
  numbers: 'Numbers',
  range: (low: number, high: number) => `colours from ${low.toPrecision(2)} to ${high.toPrecision(2)}`,
  summary: (mean: number, deviation: number, low: number, high: number) =>
    `mean ${mean.toFixed(3)}, deviation ${deviation.toFixed(3)}, from ${low.toFixed(2)} to ${high.toFixed(2)}`,
  attention: 'Attention',
  attentionLead:
    'Each head of each layer asks, for every token, which others matter. A row shows where its token looks; it sums to 100 percent.',
  attentionKinds: {
    self: 'Self-attention',
    encoder: 'Encoder',
    decoder: 'Decoder, itself',
    cross: 'Decoder to encoder',
  } satisfies Record<AttentionKind, string>,
  allHeads: 'All heads',
  layer: (i: number) => `Layer ${i}`,
  layerHead: (layer: number, head: number) => `Layer ${layer}, head ${head}`,
  mapHelp: 'The token on the left looks at those above; in percent.',
  lens: 'From layer to layer: the logit lens',
  lensLead:
    'What would the model say if it stopped here? After each layer its final norm and head are put to the state of every token. The answer takes shape from top to bottom.',
  lensInput: 'Input',
  lensNext: 'The likeliest next token after each token',
  lensHere: 'The likeliest token at each place',
  lastLayer: 'The answer of the model',
  nextAfter: (token: string) => `What comes after “${token}”`,
  hereAt: (token: string) => `What stands at “${token}”`,
  likeliest: 'The likeliest tokens',
  compareTitle: 'LLaMA beside GPT-2',
  compareLead:
    'The two have the same depth, width, heads and tokens; the GPT-2 learned from stories that the LLaMA wrote. What is left are the four things that LLaMA does differently.',
  differences: {
    norm: {
      title: '1. RMSNorm in the place of LayerNorm',
      is: 'Both norms stand before attention and before the feed-forward part, so that the residual stream stays untouched. LayerNorm moves the mean of each token to zero and then scales; RMSNorm only scales.',
      chart: 'Mean of each token after the norm, its weights taken back',
      figures: (before: { mean: number; rms: number }, after: { mean: number; rms: number }) =>
        `largest mean ${before.mean.toFixed(3)} → ${after.mean.toFixed(3)}, largest root mean square ${before.rms.toFixed(2)} → ${after.rms.toFixed(2)}`,
    },
    inner: {
      title: '2. SwiGLU in the place of GELU',
      is: 'GPT-2 bends every number by one curve, which lets little below zero through. LLaMA computes two numbers for each place, and one opens or closes the gate for the other.',
      chart: 'How many of the inner numbers lie where',
      figures: (size: number, below: number) =>
        `${size} inner numbers a token, ${(100 * below).toFixed(0)} % below zero`,
    },
    positions: {
      title: '3. Rotary positions in the place of learned ones',
      is: 'GPT-2 adds a learned row to each token, one for each place up to its longest text. LLaMA learns nothing: it turns queries and keys by an angle that grows with the place, so that a score depends on how far apart two tokens are.',
      learned: 'Learned rows of the first places, from top to bottom',
      rotary: 'Cosine of the angle by place, from top to bottom: fast pairs on the left, slow ones on the right',
    },
    heads: {
      title: '4. No biases, and heads that share keys',
      is: 'LLaMA leaves all biases out. Several of its query heads read the same keys and values, which makes the memory of a long text smaller.',
      chart: (query: number, keyValue: number) => `${query} query heads read ${keyValue} heads of keys and values`,
      figures: (cache: number, tensors: number, numbers: number) =>
        `${count(cache)} numbers kept for each token of the text; ${tensors === 0 ? 'no bias' : `${count(tensors)} biases of ${count(numbers)} numbers`}`,
    },
    next: {
      title: 'And what they say',
      is: 'The next token after the same sentence.',
      figures: (parameters: number) => `${count(parameters)} learned numbers`,
    },
  },
  kinds: {
    embedding: { name: 'embedding', is: 'Looks each token up in a table: one row of numbers for each token it knows.' },
    norm: { name: 'norm', is: 'Brings the numbers of each token to one scale, so that layers can be stacked deep.' },
    attention: {
      name: 'attention',
      is: 'Lets each token collect from the others: queries are compared with keys, and values are mixed by how well they fit.',
    },
    feedForward: {
      name: 'feed-forward',
      is: 'Works on each token by itself: wider, bent by a curve, and narrow again.',
    },
    linear: { name: 'linear', is: 'Multiplies by a learned matrix: each output is a weighted sum of all inputs.' },
    dropout: {
      name: 'dropout',
      is: 'Hides some numbers by chance in training, against learning by heart. It does nothing now.',
    },
    residual: { name: 'residual', is: 'Adds what a part made to what went into it, and norms the sum.' },
    layer: {
      name: 'layer',
      is: 'One round: tokens look at each other, then each thinks by itself. Both add to what was there.',
    },
    head: { name: 'head', is: 'Turns the state of each token into a score for every token of the vocabulary.' },
    list: { name: 'list of layers', is: 'The same kind of layer again and again, each with weights of its own.' },
    model: { name: 'model', is: 'From ids of tokens to states, and from states to scores.' },
  } satisfies Record<Kind, { name: string; is: string }>,
}
