import { crc32 } from './crc.ts'
import { textStrokes } from './stroke-font.ts'
import type { LineStyle, Point, Surface, TextStyle } from './surface.ts'

/** Distance from a point to a segment. */
function distance(x: number, y: number, [x0, y0]: Point, [x1, y1]: Point): number {
  const [dx, dy] = [x1 - x0, y1 - y0]
  const length = dx * dx + dy * dy
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / length))
  return Math.hypot(x - x0 - along * dx, y - y0 - along * dy)
}

/** Draws into pixels, white at first, `scale` of them for each unit. */
export class PngSurface implements Surface {
  readonly #pixels: Uint8Array // [height, width, rgb]
  readonly #width: number
  readonly #height: number
  /** How much of each pixel the line being drawn covers: joints must not be counted twice. */
  readonly #coverage: Float32Array

  constructor(
    width: number,
    height: number,
    readonly scale = 2,
  ) {
    this.#width = Math.round(width * scale)
    this.#height = Math.round(height * scale)
    this.#pixels = new Uint8Array(this.#width * this.#height * 3).fill(255)
    this.#coverage = new Float32Array(this.#width * this.#height)
  }

  line(points: readonly Point[], { color, width, opacity = 1 }: LineStyle): void {
    const path = points.map(([x, y]) => [x * this.scale, y * this.scale] as const)
    const reach = (width * this.scale) / 2
    const touched: number[] = []
    for (let i = 0; i < Math.max(1, path.length - 1); i++) {
      this.#cover(path[i]!, path[i + 1] ?? path[i]!, reach, touched)
    }
    const channels = [1, 3, 5].map(start => Number.parseInt(color.slice(start, start + 2), 16))
    for (const pixel of touched) {
      const share = this.#coverage[pixel]! * opacity
      this.#coverage[pixel] = 0
      for (const [channel, value] of channels.entries()) {
        const before = this.#pixels[3 * pixel + channel]!
        this.#pixels[3 * pixel + channel] = Math.round(before + (value - before) * share)
      }
    }
  }

  #cover(from: Point, to: Point, reach: number, touched: number[]): void {
    const range = (a: number, b: number, size: number): [number, number] => [
      Math.max(0, Math.floor(Math.min(a, b) - reach - 1)),
      Math.min(size - 1, Math.ceil(Math.max(a, b) + reach + 1)),
    ]
    const [left, right] = range(from[0], to[0], this.#width)
    const [top, bottom] = range(from[1], to[1], this.#height)
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const share = Math.min(1, reach + 0.5 - distance(x + 0.5, y + 0.5, from, to))
        const pixel = y * this.#width + x
        if (share <= this.#coverage[pixel]!) continue
        if (this.#coverage[pixel] === 0) touched.push(pixel)
        this.#coverage[pixel] = share
      }
    }
  }

  dot(center: Point, radius: number, color: string): void {
    this.line([center], { color, width: 2 * radius })
  }

  text([x, y]: Point, text: string, { size, color, anchor = 'start', isVertical, isBold }: TextStyle): void {
    const { strokes, width } = textStrokes(text, size)
    const shift = { start: 0, middle: -width / 2, end: -width }[anchor]
    const place = ([px, py]: Point): Point => (isVertical ? [x - py, y - px - shift] : [x + px + shift, y - py])
    const pen = size * (isBold ? 0.13 : 0.09)
    for (const stroke of strokes) {
      this.line(stroke.map(place), { color, width: stroke.length === 1 ? 1.6 * pen : pen })
    }
  }

  /** The file: 8-bit RGB (PNG specification, third edition). */
  async encode(): Promise<Uint8Array> {
    const row = this.#width * 3
    const raw = new Uint8Array(this.#height * (row + 1)) // each row begins with its filter, 0: none
    for (let y = 0; y < this.#height; y++) raw.set(this.#pixels.subarray(y * row, (y + 1) * row), y * (row + 1) + 1)
    const header = new Uint8Array(13)
    const view = new DataView(header.buffer)
    view.setUint32(0, this.#width)
    view.setUint32(4, this.#height)
    header.set([8, 2, 0, 0, 0], 8) // 8 bits, RGB, deflate, no filter method, not interlaced
    const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
    return join([signature, chunk('IHDR', header), chunk('IDAT', await deflate(raw)), chunk('IEND', new Uint8Array())])
  }
}

function join(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream('deflate'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const body = join([new TextEncoder().encode(name), data])
  const frame = new Uint8Array(4)
  const length = frame.slice()
  new DataView(length.buffer).setUint32(0, data.length)
  new DataView(frame.buffer).setUint32(0, crc32(body))
  return join([length, body, frame])
}
