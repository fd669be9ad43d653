/** What a tokenizer needs of files; one implementation for Node, one for pages and workers. */
export interface TextFiles {
  /** The bytes of a file, the first `limit` where it is longer, or undefined if there is none. Throws HEED_IO. */
  readBytes(path: string, limit?: number): Promise<Uint8Array | undefined>
  /** Names of what is in a folder; none where there is no such folder, or where it cannot be asked, as of a URL. */
  list(path: string): Promise<string[]>
  /** What there is at a path; undefined where it cannot be asked, as of a URL. */
  kindOf(path: string): Promise<'file' | 'folder' | 'nothing' | undefined>
  /** Writes a file under a temporary name and renames it. Throws HEED_IO. */
  writeText(path: string, text: string): Promise<void>
  /** The path of a file in a folder. */
  join(folder: string, name: string): string
}
