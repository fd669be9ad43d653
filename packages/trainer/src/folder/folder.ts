/** What a run needs of the file system; Node has it, a page does not. */
export interface FolderAccess {
  /** Names in a folder; none when it does not exist. Throws HEED_IO. */
  list(folder: string): Promise<string[]>
  /** Paths of the files in a folder and the folders in it, with `/` between; undefined when there is no such folder. Throws HEED_IO. */
  tree(folder: string): Promise<string[] | undefined>
  make(folder: string): Promise<void>
  /** Removes it with all that is in it. */
  remove(folder: string): Promise<void>
  /** Gives a complete folder its name: brings its files to the disk, renames it, and brings the renaming to the disk. */
  publish(from: string, to: string): Promise<void>
  append(file: string, content: string | Uint8Array): Promise<void>
  /** Keeps other processes out of the folder until the returned function is called. Throws HEED_IO when one is in it. */
  lock(folder: string): Promise<() => Promise<void>>
}
