/** A file being written under a temporary name: nothing is at its own name before `commit`. */
export interface AtomicFile {
  /** Appends. Throws HEED_IO, also when the disk is full. */
  write(bytes: Uint8Array): Promise<void>
  /** Brings all bytes to the disk and closes the temporary file. Throws HEED_IO. */
  finish(): Promise<void>
  /** Gives the finished file its own name, in place of what had it. Throws HEED_IO. */
  commit(): Promise<void>
  /** Removes the temporary file; never throws. */
  discard(): Promise<void>
}
