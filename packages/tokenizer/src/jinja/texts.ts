/** A text without the characters, or else spaces, at both ends. */
export const strip = (text: string, characters?: string): string =>
  stripped(stripped(text, characters, 'start'), characters, 'end')

type TextMethod = (text: string, ...args: (string | undefined)[]) => unknown

/** Methods of Python's `str` that `@huggingface/jinja` lacks, or does without their arguments. */
const methods: Record<string, TextMethod> = {
  strip,
  lstrip: (text, characters) => stripped(text, characters, 'start'),
  rstrip: (text, characters) => stripped(text, characters, 'end'),
  removeprefix: (text, prefix = '') => (text.startsWith(prefix) ? text.slice(prefix.length) : text),
  removesuffix: (text, suffix = '') => (suffix && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text),
  capitalize: text => text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase(),
  title: text => text.toLowerCase().replace(/\p{L}+/gu, word => word.slice(0, 1).toUpperCase() + word.slice(1)),
}

export const textMethods: ReadonlyMap<string, TextMethod> = new Map(Object.entries(methods))

// `str.isspace`: JavaScript's but for the byte order mark, and some control characters.
const isSpace = (character: string): boolean =>
  (/\s/.test(character) && character !== '\ufeff') || '\u001c\u001d\u001e\u001f\u0085'.includes(character)

/** A text without the characters, or else spaces, at one end. */
function stripped(text: string, characters: string | undefined, end: 'start' | 'end'): string {
  const isStripped = (character: string): boolean => characters?.includes(character) ?? isSpace(character)
  const all = Array.from(text)
  const kept = end === 'start' ? all.findIndex(one => !isStripped(one)) : all.findLastIndex(one => !isStripped(one))
  if (kept < 0) return ''
  return (end === 'start' ? all.slice(kept) : all.slice(0, kept + 1)).join('')
}

const monthNames = 'January February March April May June July August September October November December'.split(' ')
const dayNames = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')

/** `datetime.now().strftime(format)` of Python in the C locale; `%-d` is `%d` without its zeros. Throws Error for other codes than these. */
export function strftimeNow(format: string): string {
  const now = new Date()
  const hours = now.getHours()
  const [month, day] = [monthNames[now.getMonth()]!, dayNames[now.getDay()]!]
  const two = (number: number): string => String(number).padStart(2, '0')
  const codes: Record<string, string> = {
    Y: String(now.getFullYear()),
    y: two(now.getFullYear() % 100),
    m: two(now.getMonth() + 1),
    d: two(now.getDate()),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: two(hours),
    I: two(hours % 12 || 12),
    p: hours < 12 ? 'AM' : 'PM',
    M: two(now.getMinutes()),
    S: two(now.getSeconds()),
    '%': '%',
  }
  return format.replace(/%(-?)(.?)/gsu, (written, bare: string, code: string) => {
    const text = codes[code]
    if (text === undefined) throw new Error(`strftime_now: ${written} is not one of %${Object.keys(codes).join(' %')}`)
    return bare ? text.replace(/^0/, '') : text
  })
}
