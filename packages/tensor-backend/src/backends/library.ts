/** HEED_ATTENTION_PROBLEM of `kernels/api.h`. */
export type AttentionProblem = [
  q: number,
  k: number,
  v: number,
  bias: number,
  keyMask: number,
  batch: number,
  queries: number,
  keys: number,
  capacity: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  valueDim: number,
  isCausal: number,
  window: number,
  scale: number,
  softcap: number,
  biasBatch: number,
  biasHead: number,
  biasRow: number,
  dropBelow: number,
  dropScale: number,
  seed: number,
]

/** HEED_AXES of `kernels/api.h`: one number for each of five axes. */
export type Axes = [number, number, number, number, number]

/** The kernels of `kernels/api.h`, typed: pointers are byte addresses as numbers, everything else is a plain number. */
export interface Kernels {
  matmul(
    a: number,
    b: number,
    bias: number,
    c: number,
    before: number,
    rows: number,
    cols: number,
    depth: number,
    isATransposed: number,
    isBTransposed: number,
    isAccumulated: number,
    activation: number,
    batch: number,
    aStep: number,
    bStep: number,
  ): void
  panelProduct(
    x: number,
    panels: number,
    bias: number,
    y: number,
    rows: number,
    cols: number,
    depth: number,
    activation: number,
  ): void
  panelCols(cols: number): void
  packPanels(weight: number, panels: number, depth: number, cols: number, isTransposed: number): void
  unpackPanels(panels: number, weight: number, depth: number, cols: number, isTransposed: number): void
  binary(
    ...args: [
      a: number,
      b: number,
      y: number,
      kind: number,
      type: number,
      ...sizes: Axes,
      ...aStrides: Axes,
      ...bStrides: Axes,
    ]
  ): void
  unary(x: number, y: number, count: number, kind: number, alpha: number): void
  clip(x: number, y: number, count: number, low: number, high: number): void
  select(condition: number, a: number, b: number, y: number, count: number, span: number): void
  convert(x: number, y: number, count: number, from: number, to: number): void
  fill(y: number, count: number, value: number): void
  reduce(x: number, y: number, outer: number, count: number, inner: number, kind: number): void
  reduceInt(x: number, y: number, outer: number, count: number, inner: number): void
  argExtreme(x: number, y: number, rows: number, count: number, sign: number): void
  softmax(x: number, y: number, rows: number, cols: number): void
  copy(
    ...args: [from: number, to: number, bytes: number, ...sizes: Axes, ...fromStrides: Axes, ...toStrides: Axes]
  ): void
  gather(x: number, ids: number, y: number, outer: number, size: number, count: number, inner: number): void
  segmentSum(x: number, ids: number, y: number, count: number, segments: number, inner: number): void
  accumulate(sum: number, term: number, count: number): void
  widen(x: number, y: number, count: number, isBfloat: number): void
  rmsNorm(x: number, weight: number, y: number, inverse: number, rows: number, cols: number, eps: number): void
  rmsNormGradient(
    dy: number,
    x: number,
    weight: number,
    inverse: number,
    dx: number,
    dweight: number,
    workspace: number,
    parts: number,
    rows: number,
    cols: number,
  ): void
  layerNorm(
    x: number,
    weight: number,
    bias: number,
    y: number,
    mean: number,
    inverse: number,
    rows: number,
    cols: number,
    eps: number,
  ): void
  layerNormGradient(
    dy: number,
    x: number,
    weight: number,
    mean: number,
    inverse: number,
    dx: number,
    dweight: number,
    dbias: number,
    workspace: number,
    parts: number,
    rows: number,
    cols: number,
  ): void
  attention(...args: [...AttentionProblem, out: number, lse: number, workspace: number]): void
  attentionStep(...args: [...AttentionProblem, out: number, partial: number, splits: number]): void
  attentionEach(
    table: number,
    count: number,
    q: number,
    k: number,
    v: number,
    out: number,
    partial: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    valueDim: number,
    window: number,
    scale: number,
    softcap: number,
  ): void
  attentionGradient(
    ...args: [
      ...AttentionProblem,
      out: number,
      lse: number,
      dout: number,
      dq: number,
      dk: number,
      dv: number,
      dbias: number,
      workspace: number,
      splits: number,
    ]
  ): void
  rotary(
    x: number,
    cos: number,
    sin: number,
    y: number,
    rows: number,
    tableRows: number,
    heads: number,
    headDim: number,
    half: number,
    isInterleaved: number,
    direction: number,
  ): void
  activation(x: number, y: number, count: number, kind: number): void
  activationGradient(dy: number, x: number, dx: number, count: number, kind: number): void
  swiglu(gate: number, up: number, y: number, count: number): void
  swigluGradient(dy: number, gate: number, up: number, dgate: number, dup: number, count: number): void
  dropout(x: number, y: number, count: number, dropBelow: number, dropScale: number, seed: number): void
  embedding(ids: number, weight: number, y: number, count: number, hidden: number): void
  embeddingGradient(
    ids: number,
    dy: number,
    dweight: number,
    count: number,
    vocab: number,
    hidden: number,
    isAccumulated: number,
  ): void
  crossEntropy(
    logits: number,
    labels: number,
    loss: number,
    lse: number,
    weight: number,
    losses: number,
    rows: number,
    cols: number,
    ignored: number,
    smoothing: number,
    isMean: number,
  ): void
  crossEntropyGradient(
    dloss: number,
    logits: number,
    labels: number,
    lse: number,
    weight: number,
    dlogits: number,
    rows: number,
    cols: number,
    ignored: number,
    smoothing: number,
  ): void
  tokenLogProbs(logits: number, ids: number, y: number, lse: number, rows: number, cols: number): void
  tokenLogProbsGradient(
    dy: number,
    logits: number,
    ids: number,
    lse: number,
    dlogits: number,
    rows: number,
    cols: number,
  ): void
  topK(x: number, values: number, indices: number, rows: number, cols: number, k: number): void
  globalNorm(table: number, count: number, norm: number, partial: number): void
  adamw(
    table: number,
    count: number,
    norm: number,
    maxNorm: number,
    learningRate: number,
    beta1: number,
    beta2: number,
    eps: number,
    correction1: number,
    correction2: number,
  ): void
  sgd(
    table: number,
    count: number,
    norm: number,
    maxNorm: number,
    learningRate: number,
    momentum: number,
    isNesterov: number,
  ): void
  lion(
    table: number,
    count: number,
    norm: number,
    maxNorm: number,
    learningRate: number,
    beta1: number,
    beta2: number,
  ): void
  writeRows(
    target: number,
    rows: number,
    batch: number,
    capacity: number,
    numRows: number,
    offset: number,
    rowSize: number,
  ): void
  packRows(x: number, packed: number, packing: number, rows: number, dim: number): void
  unpackRows(packed: number, x: number, packing: number, rows: number, dim: number): void
  attentionStepPacked(
    ...args: [...AttentionProblem, out: number, partial: number, splits: number, packing: number]
  ): void
  quantizedPack(blocks: number, strips: number, kind: number, rows: number, cols: number, rowStep: number): void
  quantizedActivations(x: number, workspace: number, kind: number, rows: number, cols: number): void
  quantizedPart(...args: [...QuantizedProblem, first: number, last: number]): void
  quantizedLinear(...args: QuantizedProblem): void
  quantizedRows(strips: number, ids: number, y: number, kind: number, count: number, cols: number): void
  quantize(x: number, blocks: number, scales: number, type: number, count: number): void
  /** Rows of a table in a file, where the library can read one; NaN where they cannot be read. */
  fileRows?(file: number, offset: number, ids: number, rows: number, count: number, rowBytes: number): void
}

/** What the kernels of products by quantised weights are given first. */
type QuantizedProblem = [
  x: number,
  strips: number,
  bias: number,
  y: number,
  workspace: number,
  kind: number,
  rows: number,
  cols: number,
  out: number,
]

/** A weight in a file, as `readStrips` and `readLinear` are told of it. */
export type WeightInFile = [
  file: number,
  offset: number,
  kind: number,
  rows: number,
  cols: number,
  rowBytes: number,
  stripBytes: number,
  pairedHeadDim: number,
]

/** A call of a kernel by its name. */
export interface KernelCall {
  readonly kernel: keyof Kernels
  readonly args: readonly number[]
}

/** Calls in a row: the arguments of call `i` begin at `starts[i]` of `numbers`, where they may be changed between runs. */
export interface CallProgram {
  readonly numbers: Float64Array
  readonly starts: readonly number[]
  run(): void
}

/** A program of a library that has no faster way: one call after the other. */
export function programOf(kernels: Kernels, calls: readonly KernelCall[]): CallProgram {
  const numbers = Float64Array.from(calls.flatMap(({ args }) => args))
  const starts: number[] = []
  let end = 0
  const runs = calls.map(({ kernel, args }) => {
    const start = end
    starts.push(start)
    end += args.length
    const own = numbers.subarray(start, end)
    const call = kernels[kernel] as (...args: number[]) => void
    return () => call(...own)
  })
  return {
    numbers,
    starts,
    run: () => {
      for (const run of runs) run()
    },
  }
}

/** Memory and kernels of one build of the C++ library: the Node addon or a WebAssembly module. */
export interface KernelLibrary {
  readonly name: 'native' | 'wasm'
  /** What the kernels use, such as `avx512` or `relaxed-simd`. */
  readonly instructionSet: string
  readonly threads: number
  readonly kernels: Kernels
  /** Calls to be made again and again; their arguments are copied, and changed in `numbers` from then on. */
  program(calls: readonly KernelCall[]): CallProgram
  /**
   * float32 values of a file, or float16 (kind 1) or bfloat16 (2), to an address as float32, where the library can read one;
   * false when they are not all there.
   */
  readFloats?(file: number, offset: number, address: number, count: number, kind: number): boolean
  /** `quantizedPack` of rows that lie in a file, where the library can read one; false when they are not all there. */
  readStrips?(...args: [...WeightInFile, strips: number]): boolean
  /** `quantizedLinear` by a weight that lies in a file, which is not kept; false when it is not all there. */
  readLinear?(...args: [...WeightInFile, x: number, bias: number, y: number, workspace: number, xRows: number]): boolean
  /**
   * The first `bytes` of a file as memory, where the library can have that, or 0. It shares the system's cache of the file until
   * it is written to, which the file never sees.
   */
  mapFile?(file: number, bytes: number): number
  unmapFile?(address: number, bytes: number): void
  /** Gives whole pages of a mapped file back to the system, until they are read again. */
  forgetPages?(address: number, bytes: number): void
  /** Whether the file mapped at an address, or any where it is 0, has become shorter than what was read of it. */
  hasLost?(address: number): boolean
  /** The address of a new block, aligned to 64 bytes, content undefined; 0 when memory is out. */
  allocate(bytes: number): number
  release(address: number): void
  /** The buffer and offset at which a block can be seen now; not to be kept across another allocation. */
  view(address: number, bytes: number): { buffer: ArrayBufferLike; byteOffset: number }
  /** Gives the blocks that are kept to be handed out again back to the system, where it takes memory back. */
  trim?(): void
  /** `trim` two seconds after the last call of this. */
  trimSoon?(): void
  memoryUse(): { inUse: number; cached: number }
}

/** `rms_norm` -> `rmsNorm`: the C names in the spelling of this side. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
