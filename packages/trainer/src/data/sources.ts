/** Examples that can be asked for by index, in any order; `get` may be asynchronous. */
export interface IndexedDataset<T> {
  readonly length: number
  get(index: number): T | Promise<T>
  /** Mean bytes of text behind one token, where known: evaluation then reports bits per byte. */
  readonly bytesPerToken?: number
}

/** Examples that may never end; a resumed run reads and drops what it has seen. */
export interface StreamDataset<T> extends AsyncIterable<T> {
  /** Those of an epoch, where their order depends on it. */
  pass?(epoch: number): AsyncIterable<T>
}

/** The examples as they come in an epoch. */
export function passOf<T>(dataset: StreamDataset<T> | Iterable<T>, epoch: number): AsyncIterable<T> | Iterable<T> {
  return 'pass' in dataset && dataset.pass ? dataset.pass(epoch) : dataset
}

/** What a Trainer takes examples from. */
export type DatasetLike<T> = IndexedDataset<T> | StreamDataset<T>

export function isStream<T>(dataset: DatasetLike<T>): dataset is StreamDataset<T> {
  return Symbol.asyncIterator in dataset
}
