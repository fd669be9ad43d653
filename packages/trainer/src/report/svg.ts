import type { LineStyle, Point, Surface, TextStyle } from './surface.ts'

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text as markup says it. */
export function escapeText(text: string): string {
  return text.replaceAll(/[&<>"]/g, letter => escapes[letter]!)
}

const short = (value: number): string => String(Math.round(value * 100) / 100)

/** Collects SVG elements. */
export class SvgSurface implements Surface {
  readonly #elements: string[] = []

  constructor(
    readonly width: number,
    readonly height: number,
  ) {}

  line(points: readonly Point[], { color, width, opacity = 1 }: LineStyle): void {
    const path = points.map(([x, y]) => `${short(x)},${short(y)}`).join(' ')
    const look = `fill="none" stroke="${color}" stroke-width="${width}" stroke-linejoin="round" stroke-linecap="round"`
    this.#elements.push(`<polyline points="${path}" ${look}${opacity < 1 ? ` opacity="${opacity}"` : ''}/>`)
  }

  dot([x, y]: Point, radius: number, color: string): void {
    this.#elements.push(`<circle cx="${short(x)}" cy="${short(y)}" r="${radius}" fill="${color}"/>`)
  }

  text([x, y]: Point, text: string, { size, color, anchor = 'start', isVertical, isBold }: TextStyle): void {
    const turn = isVertical ? ` transform="rotate(-90 ${short(x)} ${short(y)})"` : ''
    const look = `font-size="${size}" fill="${color}" text-anchor="${anchor}"${isBold ? ' font-weight="bold"' : ''}`
    this.#elements.push(`<text x="${short(x)}" y="${short(y)}" ${look}${turn}>${escapeText(text)}</text>`)
  }

  /** An element for a page, as wide as there is room, without a ground; `label` is what it shows. */
  toElement(label: string): string {
    const head = `<svg viewBox="0 0 ${this.width} ${this.height}" role="img" aria-label="${escapeText(label)}">`
    return [head, ...this.#elements, '</svg>'].join('\n')
  }

  /** The document. */
  toString(): string {
    const { width, height } = this
    const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif">`
    return [head, `<rect width="${width}" height="${height}" fill="#ffffff"/>`, ...this.#elements, '</svg>', ''].join(
      '\n',
    )
  }
}
