/** Where the boxes and lines of the picture go: sizes from the inside out, then places from the outside in. */
import type { FlowItem, PartFlow } from '../../inside/flow.ts'
import type { Part } from '../../inside/module-tree.ts'

export interface PlacedPart {
  part: Part
  x: number
  y: number
  width: number
  height: number
  depth: number
  isOpen: boolean
  isUsed: boolean
}

export interface PlacedLine {
  path: string
  kind: 'flow' | 'skip' | 'across'
}

export interface Picture {
  width: number
  height: number
  /** Each before those inside it. */
  parts: PlacedPart[]
  sums: Array<{ x: number; y: number }>
  lines: PlacedLine[]
}

const letter = 6.95 // width of a letter of the labels
const leafHeight = 27
const header = 25
const padding = 12
const lane = 13 // for lines that go past boxes
const rowGap = 17
const itemGap = 8
const acrossGap = 34
export const sumRadius = 8

/** What a part is called in the picture: its name, or its class where it has none. */
export const labelOf = ({ name, className }: Part): string => name || className

interface Sized {
  width: number
  height: number
  place(x: number, y: number, depth: number, picture: Picture): void
}

export function layOut(root: Part, flows: ReadonlyMap<number, PartFlow>, isOpen: (part: Part) => boolean): Picture {
  const picture: Picture = { width: 0, height: 0, parts: [], sums: [], lines: [] }
  const sized = size(root, flows, isOpen, true)
  sized.place(1, 1, 0, picture)
  return { ...picture, width: sized.width + 2, height: sized.height + 2 }
}

function size(
  part: Part,
  flows: ReadonlyMap<number, PartFlow>,
  isOpenPart: (part: Part) => boolean,
  isUsed: boolean,
): Sized {
  const flow = flows.get(part.id)
  const isOpen = part.children.length > 0 && isOpenPart(part)
  const sign = part.children.length > 0 ? 16 : 0
  const labelWidth = labelOf(part).length * letter + 20 + sign
  if (!isOpen) {
    const [width, height] = [Math.max(58, labelWidth), leafHeight]
    const place: Sized['place'] = (x, y, depth, { parts }) =>
      void parts.push({ part, x, y, width, height, depth, isOpen, isUsed })
    return { width, height, place }
  }
  const items = flow?.items ?? []
  const inner = new Map(
    part.children.map(child => [child.id, size(child, flows, isOpenPart, isUsed && !flow?.unused.includes(child.id))]),
  )
  const unused = part.children.filter(child => !items.some(item => item.part === child.id))
  const sizeOf = (item: FlowItem): { width: number; height: number } =>
    item.part === undefined ? { width: 2 * sumRadius, height: 2 * sumRadius } : inner.get(item.part)!
  const gap = flow && flow.across.length > 0 ? acrossGap : itemGap
  const numRows = Math.max(0, ...items.map(({ row }) => row + 1))
  const rows = Array.from({ length: numRows }, (_, row) => [...items.keys()].filter(i => items[i]!.row === row))
  const widthOf = (sizes: Array<{ width: number }>, between: number): number =>
    sizes.reduce((sum, { width }) => sum + width, between * Math.max(0, sizes.length - 1))
  const rowWidths = rows.map(row =>
    widthOf(
      row.map(i => sizeOf(items[i]!)),
      gap,
    ),
  )
  const rowHeights = rows.map(row => Math.max(...row.map(i => sizeOf(items[i]!).height)))
  const unusedSizes = unused.map(child => inner.get(child.id)!)
  const innerWidth = Math.max(labelWidth - 2 * padding, ...rowWidths, widthOf(unusedSizes, itemGap))
  const left = padding + (flow && hasSkips(flow) ? lane : 0)
  const width = left + innerWidth + padding
  const unusedHeight = unused.length > 0 ? Math.max(...unusedSizes.map(({ height }) => height)) + itemGap : 0
  const height =
    header + rowHeights.reduce((sum, one) => sum + one + rowGap, 0) + unusedHeight + (numRows > 0 ? 0 : padding)

  const place: Sized['place'] = (x, y, depth, picture) => {
    picture.parts.push({ part, x, y, width, height, depth, isOpen, isUsed })
    const boxes: Array<{ x: number; y: number; width: number; height: number }> = []
    let top = y + header + (numRows > 0 ? 5 : 0)
    for (const [r, row] of rows.entries()) {
      let at = x + left + (innerWidth - rowWidths[r]!) / 2
      for (const i of row) {
        const { width: itemWidth, height: itemHeight } = sizeOf(items[i]!)
        boxes[i] = { x: at, y: top, width: itemWidth, height: itemHeight }
        at += itemWidth + gap
      }
      top += rowHeights[r]! + rowGap
    }
    picture.lines.push(...linesIn({ x, y, width, height: height - unusedHeight }, flow, boxes, left))
    for (const [i, item] of items.entries()) {
      const box = boxes[i]!
      if (item.part === undefined) picture.sums.push({ x: box.x + sumRadius, y: box.y + sumRadius })
      else inner.get(item.part)!.place(box.x, box.y, depth + 1, picture)
    }
    let at = x + left + (innerWidth - widthOf(unusedSizes, itemGap)) / 2
    for (const child of unusedSizes) {
      child.place(at, top - (numRows > 0 ? 5 : 0), depth + 1, picture)
      at += child.width + itemGap
    }
  }
  return { width, height, place }
}

const rowBefore = ({ items }: PartFlow, item: FlowItem): number[] =>
  [...items.keys()].filter(i => items[i]!.row === item.row - 1)

/** Whether a line has to go past a box. */
const isSkip = ({ items }: PartFlow, item: FlowItem, source: 'in' | number): boolean =>
  source === 'in' ? item.row > 0 : items[source]!.row < item.row - 1
const hasSkips = (flow: PartFlow): boolean =>
  flow.items.some(item => item.from.some(source => isSkip(flow, item, source)))

interface Box {
  x: number
  y: number
  width: number
  height: number
}

function linesIn(parent: Box, flow: PartFlow | undefined, boxes: readonly Box[], left: number): PlacedLine[] {
  if (!flow) return []
  const lines: PlacedLine[] = []
  const middle = ({ x, width }: Box): number => x + width / 2
  const bottom = ({ y, height }: Box): number => y + height
  const laneX = parent.x + left - lane
  const down = (fromX: number, fromY: number, to: Box): void => {
    const half = to.y - 9
    const turn = Math.abs(fromX - middle(to)) < 1 ? '' : `V ${half} H ${middle(to)} `
    lines.push({ path: `M ${fromX} ${fromY} ${turn}V ${to.y - 1}`, kind: 'flow' })
  }
  const past = (fromX: number, fromY: number, to: Box): void => {
    const y = to.y + Math.min(to.height / 2, 13)
    const start = fromX === laneX ? `M ${laneX} ${fromY}` : `M ${fromX} ${fromY} H ${laneX}`
    lines.push({ path: `${start} V ${y} H ${to.x - 1}`, kind: 'skip' })
  }
  const top = parent.y + header - 4
  for (const [i, item] of flow.items.entries()) {
    const to = boxes[i]!
    if (item.outside !== undefined) {
      lines.push({ path: `M ${middle(to) - 12} ${to.y - 10} H ${middle(to)} V ${to.y - 1}`, kind: 'across' })
      continue
    }
    if (item.from.length === 0) {
      const before = rowBefore(flow, item)
      if (item.row === 0) down(middle(to), top, to)
      for (const source of before) down(middle(boxes[source]!), bottom(boxes[source]!), to)
    }
    for (const source of item.from) {
      if (source === 'in') {
        if (item.row === 0) down(middle(to), top, to)
        else past(laneX, top, to)
      } else if (isSkip(flow, item, source)) past(middle(boxes[source]!), bottom(boxes[source]!) + 5, to)
      else down(middle(boxes[source]!), bottom(boxes[source]!), to)
    }
  }
  const feeds = new Set(flow.items.flatMap(({ from }) => from))
  for (const [i, { row }] of flow.items.entries()) {
    const isLast = row === Math.max(...flow.items.map(one => one.row))
    if (isLast && !feeds.has(i))
      lines.push({ path: `M ${middle(boxes[i]!)} ${bottom(boxes[i]!)} V ${bottom(parent)}`, kind: 'flow' })
  }
  for (const { from, to } of flow.across) {
    const [a, b] = [boxes[from]!, boxes[to]!]
    const between = (a.x + a.width + b.x) / 2
    const y = bottom(a) - 14
    lines.push({ path: `M ${a.x + a.width} ${y} H ${between} V ${b.y + 14} H ${b.x - 1}`, kind: 'across' })
  }
  return lines
}
