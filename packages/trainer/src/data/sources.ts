/** Examples that can be asked for by index, in any order; `get` may be asynchronous. */
export interface IndexedDataset<T> {
  readonly length: number
  get(index: number): T | Promise<T>
  /** Mean bytes of text behind one token, where known: evaluation then reports bits per byte. */
  readonly bytesPerToken?: number
}

/** Examples in one order that may never end; a resumed run reads and drops what it has seen. */
export type StreamDataset<T> = AsyncIterable<T>

/** What a Trainer takes examples from. */
export type DatasetLike<T> = IndexedDataset<T> | StreamDataset<T>

export function isStream<T>(dataset: DatasetLike<T>): dataset is StreamDataset<T> {
  return Symbol.asyncIterator in dataset
}
