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
        onChange={event => take(event.currentTarget.files)}
      />
    </fieldset>
  )
}

/** What was dropped, the files of a folder included. */
async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null)
  const files: File[] = []
  const walk = async (entry: FileSystemEntry): Promise<void> => {
    if (entry.isFile) {
      files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)))
      return
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader()
    for (;;) {
      // browsers hand out a folder in portions, the last one empty
      const portion = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
      if (portion.length === 0) return
      for (const each of portion) await walk(each)
    }
  }
  for (const entry of entries) await walk(entry)
  return files
}
