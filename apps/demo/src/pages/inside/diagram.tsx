import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { PartFlow } from '../../inside/flow.ts'
import { kindOf } from '../../inside/kinds.ts'
import { allParts, type Part } from '../../inside/module-tree.ts'
import { useText } from '../../language/language.ts'
import { labelOf, layOut, type PlacedPart, sumRadius } from './layout.ts'

interface DiagramProps {
  root: Part
  flows: ReadonlyMap<number, PartFlow>
  selected: number
  onSelect(part: number): void
}

/** Open at first: all but the later layers of a list. */
function openAtFirst(root: Part): Set<number> {
  const open = new Set<number>()
  const visit = (part: Part): void => {
    open.add(part.id)
    for (const child of part.className === '' ? part.children.slice(0, 1) : part.children) visit(child)
  }
  visit(root)
  return open
}

/** The model as boxes in boxes, in the order in which it computes; a tree for the keyboard and for screen readers. */
export function Diagram({ root, flows, selected, onSelect }: DiagramProps) {
  const text = useText().inside
  const [open, setOpen] = useState(() => openAtFirst(root))
  const tree = useRef<SVGSVGElement>(null)
  useEffect(() => setOpen(openAtFirst(root)), [root])
  const picture = useMemo(() => layOut(root, flows, part => open.has(part.id)), [root, flows, open])
  const every = useMemo(() => Array.from(allParts(root)), [root])
  const parents = useMemo(
    () => new Map(every.flatMap(part => part.children.map(child => [child.id, part] as const))),
    [every],
  )
  const isAllOpen = every.every(part => part.children.length === 0 || open.has(part.id))

  const setPart = (id: number, isOpen: boolean): void => {
    const changed = new Set(open)
    if (isOpen) changed.add(id)
    else changed.delete(id)
    setOpen(changed)
  }
  const choose = (id: number): void => {
    onSelect(id)
    requestAnimationFrame(() => tree.current?.querySelector<SVGGElement>(`[data-part="${id}"]`)?.focus())
  }
  /** As a tree of the ARIA practices: up and down through what is seen, right opens or enters, left closes or leaves. */
  const press = (event: KeyboardEvent, { part, isOpen }: PlacedPart): void => {
    const at = picture.parts.findIndex(placed => placed.part === part)
    const moves: Record<string, () => void> = {
      ArrowDown: () => picture.parts[at + 1] && choose(picture.parts[at + 1]!.part.id),
      ArrowUp: () => picture.parts[at - 1] && choose(picture.parts[at - 1]!.part.id),
      Home: () => choose(picture.parts[0]!.part.id),
      End: () => choose(picture.parts.at(-1)!.part.id),
      ArrowRight: () => {
        if (part.children.length === 0) return
        if (isOpen) choose(picture.parts[at + 1]!.part.id)
        else setPart(part.id, true)
      },
      ArrowLeft: () => {
        const parent = parents.get(part.id)
        if (isOpen) setPart(part.id, false)
        else if (parent) choose(parent.id)
      },
      Enter: () => onSelect(part.id),
      ' ': () => onSelect(part.id),
    }
    const move = moves[event.key]
    if (!move) return
    event.preventDefault()
    move()
  }
  const focusable = picture.parts.some(({ part }) => part.id === selected) ? selected : root.id

  return (
    <div class="diagram">
      <p class="actions">
        <button
          type="button"
          onClick={() => setOpen(isAllOpen ? openAtFirst(root) : new Set(every.map(({ id }) => id)))}
        >
          {isAllOpen ? text.closeLayers : text.openAll}
        </button>
        <span class="quiet">{text.diagramHelp}</span>
      </p>
      <div class="picture" role="tree" aria-label={text.diagram} tabIndex={-1}>
        <svg ref={tree} role="presentation" width={picture.width} viewBox={`0 0 ${picture.width} ${picture.height}`}>
          <defs>
            {(['flow', 'skip', 'across'] as const).map(kind => (
              <marker
                key={kind}
                id={`arrow-${kind}`}
                class={`arrow ${kind}`}
                viewBox="0 0 6 6"
                refX="5"
                refY="3"
                markerWidth="6"
                markerHeight="6"
                orient="auto"
              >
                <path d="M 0 0.5 L 5.5 3 L 0 5.5 z" />
              </marker>
            ))}
          </defs>
          {picture.parts.map(placed => (
            <PartBox
              key={placed.part.id}
              placed={placed}
              isSelected={placed.part.id === selected}
              isFocusable={placed.part.id === focusable}
              onChoose={() => onSelect(placed.part.id)}
              onToggle={() => setPart(placed.part.id, !placed.isOpen)}
              onKey={event => press(event, placed)}
            />
          ))}
          <g class="lines">
            {picture.lines.map(({ path, kind }, i) => (
              <path key={i} class={`line ${kind}`} d={path} marker-end={`url(#arrow-${kind})`} />
            ))}
            {picture.sums.map(({ x, y }, i) => (
              <g key={i} class="sum">
                <circle class="sum-ring" cx={x} cy={y} r={sumRadius} />
                <path class="sum-sign" d={`M ${x - 4} ${y} H ${x + 4} M ${x} ${y - 4} V ${y + 4}`} />
              </g>
            ))}
          </g>
        </svg>
      </div>
      <p class="legend quiet" aria-hidden="true">
        {(['embedding', 'norm', 'attention', 'feedForward', 'linear', 'dropout'] as const).map(kind => (
          <span key={kind}>
            <i class={`swatch ${kind}`} />
            {text.kinds[kind].name}
          </span>
        ))}
        <span>
          <i class="stroke" />
          {text.residualLine}
        </span>
      </p>
    </div>
  )
}

interface PartBoxProps {
  placed: PlacedPart
  isSelected: boolean
  isFocusable: boolean
  onChoose(): void
  onToggle(): void
  onKey(event: KeyboardEvent): void
}

function PartBox({ placed, isSelected, isFocusable, onChoose, onToggle, onKey }: PartBoxProps) {
  const text = useText().inside
  const { part, x, y, width, height, depth, isOpen, isUsed } = placed
  const label = labelOf(part)
  const hasChildren = part.children.length > 0
  const kind = kindOf(part)
  const count = part.className === '' ? ` × ${part.children.length}` : ''
  return (
    <g
      role="treeitem"
      data-part={part.id}
      class={`part ${kind}${isUsed ? '' : ' unused'}`}
      aria-level={depth + 1}
      aria-selected={isSelected}
      aria-label={`${label}${count}, ${part.className || text.kinds.list.name}${isUsed ? '' : `, ${text.unused}`}`}
      {...(hasChildren && { 'aria-expanded': isOpen })}
      tabindex={isFocusable ? 0 : -1} // in SVG attributes keep their case
      onClick={event => ((event.target as Element).closest('.toggle') ? onToggle() : onChoose())}
      onDblClick={hasChildren ? onToggle : undefined}
      onKeyDown={onKey}
    >
      <title>{`${part.path || label}: ${part.className || text.kinds.list.name}`}</title>
      <rect x={x} y={y} width={width} height={height} rx={isOpen ? 9 : 6} />
      <text
        class="part-label"
        x={isOpen ? x + 22 : x + width / 2 + (hasChildren ? 8 : 0)}
        y={y + 17.5}
        text-anchor={isOpen ? 'start' : 'middle'}
      >
        {label}
        {hasChildren && <tspan class="count">{count}</tspan>}
      </text>
      {hasChildren && (
        <g class="toggle">
          <rect class="toggle-area" x={x + 2} y={y + 2} width="20" height="22" />
          <path
            class="toggle-sign"
            d={isOpen ? `M ${x + 8} ${y + 11} l 8 0 l -4 6 z` : `M ${x + 9} ${y + 9.5} l 0 8 l 6 -4 z`}
          />
        </g>
      )}
    </g>
  )
}
