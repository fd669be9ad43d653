/** Of `names` the one meant by a misspelt one: equal but for case and underscores, or one or two letters away. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  const plain = (text: string): string => text.replaceAll(/[_-]/g, '').toLowerCase()
  const ranked = names.map(candidate => ({ candidate, distance: editDistance(plain(name), plain(candidate)) }))
  ranked.sort((a, b) => a.distance - b.distance)
  return ranked[0] && ranked[0].distance <= 2 ? ranked[0].candidate : undefined
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1))
    }
    previous = row
  }
  return previous[b.length]!
}
