/** What a tokenizer needs of files; one implementation for Node, one for pages and workers. */
export interface TextFiles {
  /** The bytes of a file, the first `limit` where it is longer, or undefined if there is none. Throws HEED_IO. */
  readBytes(path: string, limit?: number): Promise<Uint8Array | undefined>
  /** Writes a file under a temporary name and renames it. Throws HEED_IO. */
  writeText(path: string, text: string): Promise<void>
  /** The path of a file in a folder. */
  join(folder: string, name: string): string
}
