type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** An object without the values that are undefined. */
export function withoutUndefined<T extends object>(values: T): Present<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>
}
