import { inputLines } from '../../input-text.ts'
import { formatBytes } from '../../terminal/format.ts'
import { ProgressBar } from '../../terminal/progress.ts'

/** Whether results appear on a terminal, where a bar would tear them. */
export function isPrintedAsItGoes(): boolean {
  return process.stdout.isTTY === true
}

/** The lines of files or of standard input, as `inputLines`; a bar on a terminal shows how many bytes are read. */
export async function* linesWithProgress(
  label: string,
  files: readonly string[],
  isQuiet: boolean,
): AsyncGenerator<string> {
  const input = await inputLines(files)
  const bar = new ProgressBar(label, input.numBytes, isQuiet || !process.stderr.isTTY)
  let numBytes = 0
  try {
    yield* input.lines(count => {
      numBytes += count
      bar.update(numBytes, formatBytes(numBytes))
    })
  } finally {
    bar.clear()
  }
}
