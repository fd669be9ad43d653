export type Point = readonly [x: number, y: number]

export interface LineStyle {
  /** `#rrggbb`. */
  color: string
  width: number
  /** 0 to 1; 1 by default. */
  opacity?: number
}

export interface TextStyle {
  /** Height of a line of it; the capitals are about 0.7 of that. */
  size: number
  color: string
  /** Which end of the text stands at the point. */
  anchor?: 'start' | 'middle' | 'end'
  /** Written upwards, as on a vertical axis. */
  isVertical?: boolean
  isBold?: boolean
}

/** Something to draw on, in pixels from the top left corner. */
export interface Surface {
  line(points: readonly Point[], style: LineStyle): void
  dot(center: Point, radius: number, color: string): void
  /** The point is on the baseline. */
  text(at: Point, text: string, style: TextStyle): void
}
