import { readTextFiles } from '@heed/trainer'

/** The text of the files, or of standard input when there are none. Throws as `readTextFiles`. */
export async function inputText(files: readonly string[]): Promise<string> {
  if (files.length > 0) return readTextFiles(files)
  process.stdin.setEncoding('utf8')
  let text = ''
  for await (const chunk of process.stdin) text += chunk
  return text
}
