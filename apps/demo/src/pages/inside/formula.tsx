const upright =
  /^(?:softmax|mean|var|relu|gelu|silu|mask|norm|attention|mlp|ff|memory|sublayer|encoder|decoder|embeddings|ids|head|model|transformer|bert|layer|scores|source|target|next|token|in|training)$/

/** A formula in one line: letters slanted, `_{}` below and `^{}` above the line. */
export function Formula({ text }: { text: string }) {
  const pieces = text.split(/([_^]\{[^}]*\})/).filter(Boolean)
  return (
    <span class="formula">
      {pieces.map((piece, i) => {
        if (piece.startsWith('_{')) return <sub key={i}>{letters(piece.slice(2, -1))}</sub>
        if (piece.startsWith('^{')) return <sup key={i}>{letters(piece.slice(2, -1))}</sup>
        return <span key={i}>{letters(piece)}</span>
      })}
    </span>
  )
}

/** Variables slanted, words upright. */
function letters(text: string) {
  return text
    .split(/([A-Za-zε′]+)/)
    .filter(Boolean)
    .map((piece, i) => (/^[A-Za-zε]/.test(piece) && !upright.test(piece) ? <i key={i}>{piece}</i> : piece))
}
