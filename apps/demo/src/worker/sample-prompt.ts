/** Most characters of a prompt. */
const LONGEST = 40

/**
 * The beginning of a text, for a model to write on: its first line, or whole words of a long one. No space stands at the end, since
 * tokens begin with theirs: after one, a model writes what it never saw there.
 */
export function samplePrompt(text: string): string {
  const [line] = /^[^\n]*\n?/.exec(text.trimStart())!
  const characters = Array.from(line)
  if (characters.length <= LONGEST) return line
  const start = characters.slice(0, LONGEST).join('')
  return /^(.*\S)\s/.exec(start)?.[1] ?? start
}
