import { crc32, inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ticks } from '../../src/report/chart.ts'
import { lossPlotPng, lossPlotSvg } from '../../src/report/loss-plot.ts'
import { PngSurface } from '../../src/report/png.ts'
import type { LogRecord } from '../../src/trainer-state.ts'

const history: LogRecord[] = [
  { step: 0, epoch: 0, loss: 4 },
  { step: 50, epoch: 0, loss: 2.5 },
  { step: 50, epoch: 0, evalLoss: 3 },
  { step: 100, epoch: 1, loss: 2 },
  { step: 100, epoch: 1, evalLoss: 2.25, evalPerplexity: 9.5 },
  { step: 100, epoch: 1, trainLoss: 2.8 },
]

/** Reads a PNG of 8-bit RGB without filters, checking each chunk. */
function decodePng(file: Uint8Array): { width: number; height: number; pixel(x: number, y: number): number[] } {
  const bytes = Buffer.from(file)
  expect(bytes.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
  const chunks = new Map<string, Buffer>()
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    const body = bytes.subarray(at + 4, at + 8 + length)
    expect(bytes.readUInt32BE(at + 8 + length)).toBe(crc32(body))
    chunks.set(body.toString('latin1', 0, 4), body.subarray(4))
    at += 12 + length
  }
  expect([...chunks.keys()]).toEqual(['IHDR', 'IDAT', 'IEND'])
  const header = chunks.get('IHDR')!
  expect([...header.subarray(8)]).toEqual([8, 2, 0, 0, 0])
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const raw = inflateSync(chunks.get('IDAT')!)
  expect(raw.length).toBe(height * (1 + 3 * width))
  return { width, height, pixel: (x, y) => [...raw.subarray(y * (1 + 3 * width) + 1 + 3 * x).subarray(0, 3)] }
}

describe('the loss plot as SVG', () => {
  const svg = lossPlotSvg(history, { title: 'a <b> & "c"' })

  test('has a curve for each kind of loss, through all its points, and the last values in the legend', () => {
    const lines = [...svg.matchAll(/<polyline points="([^"]*)"[^>]*stroke="(#2f6fde|#e0662b)" stroke-width="1.8"/g)]
    expect(lines.map(([, points, color]) => [points!.split(' ').length, color])).toEqual([
      [3, '#2f6fde'],
      [2, '#e0662b'],
    ])
    expect(svg).toContain('>training 2.000<')
    expect(svg).toContain('>validation 2.250<')
    expect(svg.match(/<circle/g)).toHaveLength(2)
  })

  test('puts the first step at the left end, the last at the right, the highest loss on top', () => {
    const [first, second, third] = svg
      .match(/points="([^"]*)"[^>]*stroke="#2f6fde" stroke-width="1.8"/)![1]!
      .split(' ')
      .map(pair => pair.split(',').map(Number))
    expect([first![0], second![0], third![0]]).toEqual([64, 420, 776])
    // 4 to 2 with a twentieth of room at both ends, between pixels 428 and 48.
    expect([first![1], third![1]]).toEqual([65.27, 410.73])
  })

  test('escapes what a title may hold', () => {
    expect(svg).toContain('a &lt;b&gt; &amp; &quot;c&quot;')
  })

  test('says so when nothing was logged, and shows a single point', () => {
    expect(lossPlotSvg([])).toContain('no losses logged yet')
    expect(lossPlotSvg(history.slice(0, 1))).not.toMatch(/NaN|Infinity/)
  })
})

describe('the loss plot as PNG', () => {
  test('is a valid file in which the curves run where those of the SVG do', async () => {
    const { width, height, pixel } = decodePng(await lossPlotPng(history))
    expect([width, height]).toEqual([1600, 960])
    expect(pixel(2, 2)).toEqual([255, 255, 255])
    const halfway = 2 * ((65.27 + 324.36) / 2) // from (64, 65.27) to (420, 324.36), on the middle of the line
    expect(pixel(2 * 242, Math.round(halfway))).toEqual([0x2f, 0x6f, 0xde])
  })

  test('draws a line once, however many joints it has', async () => {
    const surface = new PngSurface(20, 20, 1)
    surface.line([[2, 10], [10, 10], [10, 10], [18, 10]], { color: '#000000', width: 2, opacity: 0.5 }) // biome-ignore format: points
    const { pixel } = decodePng(await surface.encode())
    expect(pixel(10, 9)).toEqual([128, 128, 128])
    expect(pixel(10, 13)).toEqual([255, 255, 255])
  })

  test('writes letters without a font: each printable character of ASCII leaves ink of its own', async () => {
    const pictures = new Set<string>()
    for (let code = 33; code < 127; code++) {
      const surface = new PngSurface(12, 16, 2)
      surface.text([2, 12], String.fromCharCode(code), { size: 12, color: '#000000' })
      pictures.add(Buffer.from(await surface.encode()).toString('base64'))
    }
    expect(pictures.size).toBe(94)
  })
})

test('ticks are round, rising, inside the range, and about as many as asked for', () => {
  fc.assert(
    fc.property(
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
      (low, span) => {
        const values = ticks(low, low + span, 6)
        expect(values.length).toBeGreaterThanOrEqual(2)
        expect(values.length).toBeLessThanOrEqual(8)
        for (const [i, value] of values.entries()) {
          expect(value).toBeGreaterThanOrEqual(low - span * 1e-6)
          expect(value).toBeLessThanOrEqual(low + span * (1 + 1e-6))
          if (i > 0) expect(value).toBeGreaterThan(values[i - 1]!)
        }
      },
    ),
  )
})
