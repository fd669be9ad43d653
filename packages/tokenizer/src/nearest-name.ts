/** Of `names` the one meant by a misspelt one, as in all packages: equal but for case and underscores, or one or two letters away. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  const plain = (text: string): string => text.replaceAll(/[_-]/g, '').toLowerCase()
  const within = (edits: number) => names.find(each => isWithin(edits, plain(name), plain(each)))
  return within(0) ?? within(1) ?? within(2)
}

/** Whether at most so many letters added, left out or changed make one text of the other. */
function isWithin(edits: number, a: string, b: string): boolean {
  if (a === b) return true
  if (edits === 0) return false
  let i = 0
  while (a[i] === b[i]) i++
  return (
    isWithin(edits - 1, a.slice(i + 1), b.slice(i + 1)) ||
    isWithin(edits - 1, a.slice(i), b.slice(i + 1)) ||
    isWithin(edits - 1, a.slice(i + 1), b.slice(i))
  )
}
