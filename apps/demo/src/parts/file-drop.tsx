import { useRef, useState } from 'preact/hooks'

interface FileDropProps {
  label: string
  accept?: string
  /** Whether a folder's files are taken together. */
  isMultiple?: boolean
  onFiles(files: File[]): void
}

/** A place to drop files on, which is also a button that opens the file chooser. */
export function FileDrop({ label, accept, isMultiple = false, onFiles }: FileDropProps) {
  const input = useRef<HTMLInputElement>(null)
  const [isOver, setOver] = useState(false)
  const take = (list: FileList | null): void => {
    const files = [...(list ?? [])]
    if (files.length > 0) onFiles(isMultiple ? files : files.slice(0, 1))
  }
  return (
    <fieldset
      aria-label={label}
      class={isOver ? 'drop over' : 'drop'}
      onDragOver={event => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={async event => {
        event.preventDefault()
        setOver(false)
        const files = await droppedFiles(event.dataTransfer!)
        if (files.length > 0) onFiles(isMultiple ? files : files.slice(0, 1))
      }}
    >
      <button type="button" onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        accept={accept}
        multiple={isMultiple}
        aria-label={label}
        onChange={({ currentTarget }) => {
          take(currentTarget.files)
          currentTarget.value = '' // the same file may be chosen again, once it is mended
        }}
      />
    </fieldset>
  )
}

/** What was dropped, the files of folders included; of files with one name the outermost. */
async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null)
  const files = new Map<string, File>()
  for (const entry of entries) {
    // grows while it is walked: what lies in a folder comes after all that lies beside it
    if (entry.isDirectory) {
      const reader = (entry as FileSystemDirectoryEntry).createReader()
      for (;;) {
        // browsers hand out a folder in portions, the last one empty
        const portion = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
        if (portion.length === 0) break
        entries.push(...portion)
      }
    } else if (!files.has(entry.name)) {
      const file = (entry as FileSystemFileEntry).file.bind(entry)
      files.set(entry.name, await new Promise<File>((resolve, reject) => file(resolve, reject)))
    }
  }
  return [...files.values()]
}
