import type { Point } from './surface.ts'

/**
 * Letters as pen strokes, so that a picture needs no font file. A point is two digits, x from 0 and y upwards with the
 * baseline at 2, small letters to 6, capitals to 8; a stroke that begins with ~ is a curve with these control points,
 * and one of a single point is a dot.
 * A character without an entry is drawn as a box.
 */
const glyphs: Readonly<Record<string, string>> = {
  '!': '08 04|02',
  '"': '08 06|28 26',
  '#': '12 18|32 38|04 44|06 46',
  '%': '02 48|~07 08 18 17 06 07|~43 42 32 33 44 43',
  '&': '42 04 06 17 18 28 27 05|~05 03 02 22 44',
  "'": '08 06',
  '(': '~29 07 03 21',
  ')': '~09 27 23 01',
  '*': '24 28|07 45|05 47',
  '+': '23 27|05 45',
  ',': '13 12 01',
  '-': '05 35',
  '.': '02',
  '/': '01 39',
  '0': '~28 08 02 42 48 28',
  '1': '06 28 22',
  '2': '~07 08 48 46 45 02|02 42',
  '3': '~07 08 48 45 25 15|~25 45 42 02 03',
  '4': '32 38 04 44',
  '5': '48 08 05|~05 16 46 42 02 03',
  '6': '~47 38 18 05 02 42 45 46 16 04',
  '7': '08 48 12',
  '8': '~25 05 08 48 45 25|~25 05 02 42 45 25',
  '9': '~46 44 04 05 08 48 45 32 12 03',
  ':': '06|02',
  ';': '16|13 12 01',
  '<': '47 05 43',
  '=': '06 46|04 44',
  '>': '07 45 03',
  '?': '~07 08 48 46 25 24|22',
  '@': '~34 36 16 14 33 44 46 48 08 02 42',
  '[': '29 09 01 21',
  '\\': '09 31',
  ']': '09 29 21 01',
  '^': '06 28 46',
  _: '01 41',
  '`': '08 17',
  '{': '~29 19 16 05 14 11 21',
  '|': '09 01',
  '}': '~09 19 16 25 14 11 01',
  '~': '~04 16 26 34 45',
  A: '02 28 42|14 34',
  B: '02 08|~08 48 45 05|~05 45 42 02',
  C: '~47 38 08 05 02 32 43',
  D: '02 08|~08 48 45 42 02',
  E: '48 08 02 42|05 35',
  F: '48 08 02|05 35',
  G: '~47 38 08 05 02 42 44|24 45',
  H: '08 02|48 42|05 45',
  I: '08 02',
  J: '38 34|~34 32 02 03',
  K: '08 02|48 04|15 42',
  L: '08 02 42',
  M: '02 08 24 48 42',
  N: '02 08 42 48',
  O: '~28 08 05 02 42 45 48 28',
  P: '02 08|~08 48 44 04',
  Q: '~28 08 05 02 42 45 48 28|24 42',
  R: '02 08|~08 48 44 04|24 42',
  S: '~47 48 08 05 45 42 02 03',
  T: '08 48|28 22',
  U: '08 05|~05 02 42 45|45 48',
  V: '08 22 48',
  W: '08 12 26 32 48',
  X: '08 42|48 02',
  Y: '08 25 48|25 22',
  Z: '08 48 02 42',
  a: '36 32|~35 36 06 04 02 32 33',
  b: '08 02|~03 02 32 34 36 06 05',
  c: '~35 36 06 04 02 32 33',
  d: '38 32|~33 32 02 04 06 36 35',
  e: '04 34|~34 36 06 04 02 32 33',
  f: '12 16|~16 18 38|06 26',
  g: '36 32|~32 30 00 01|~35 36 06 04 02 32 33',
  h: '08 02|~05 06 36 34|34 32',
  i: '06 02|08',
  j: '16 12|~12 10 00|18',
  k: '08 02|36 04|14 32',
  l: '08 03|~03 02 12',
  m: '06 02|~05 06 26 24|24 22|~25 26 46 44|44 42',
  n: '06 02|~05 06 36 34|34 32',
  o: '~26 06 04 02 42 44 46 26',
  p: '06 00|~03 02 32 34 36 06 05',
  q: '36 30|~33 32 02 04 06 36 35',
  r: '06 02|~04 06 26',
  s: '~35 36 06 04 34 32 02 03',
  t: '17 13|~13 12 32|06 26',
  u: '06 04|~04 02 32 33|36 32',
  v: '06 22 46',
  w: '06 12 25 32 46',
  x: '06 32|36 02',
  y: '06 22|46 10 00',
  z: '06 36 02 32',
}
const box = '02 08 38 32 02'

/** Grid units of a line's height, and between letters. */
const lineUnits = 8.6
const gap = 1.7

const pointsOf = (stroke: string): Point[] =>
  stroke.split(' ').map(pair => [Number(pair[0]), Number(pair[1]) - 2] as const)

/** A quadratic B-spline from the first control point to the last: twice, each corner is cut at a quarter of its sides. */
function curve(control: readonly Point[]): Point[] {
  let points = [...control]
  for (let round = 0; round < 3; round++) {
    const cut: Point[] = [points[0]!]
    for (let i = 0; i + 1 < points.length; i++) {
      const [[x0, y0], [x1, y1]] = [points[i]!, points[i + 1]!]
      cut.push([0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1], [0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1])
    }
    points = [...cut, points.at(-1)!]
  }
  return points
}

interface Glyph {
  strokes: Point[][]
  width: number
}

function glyphOf(letter: string): Glyph {
  if (letter === ' ') return { strokes: [], width: 2 }
  const strokes = (glyphs[letter] ?? box).split('|')
  const lines = strokes.map(stroke => (stroke.startsWith('~') ? curve(pointsOf(stroke.slice(1))) : pointsOf(stroke)))
  return { strokes: lines, width: Math.max(...lines.flat().map(([x]) => x)) }
}

/** The strokes of a line of text with its start at the origin of the baseline, y upwards, and its width, in pixels. */
export function textStrokes(text: string, size: number): { strokes: Point[][]; width: number } {
  const unit = size / lineUnits
  const strokes: Point[][] = []
  let x = 0
  for (const letter of text) {
    const glyph = glyphOf(letter)
    for (const stroke of glyph.strokes) strokes.push(stroke.map(([px, py]) => [(x + px) * unit, py * unit] as const))
    x += glyph.width + gap
  }
  return { strokes, width: Math.max(0, x - gap) * unit }
}
