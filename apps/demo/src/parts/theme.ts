import { useEffect, useState } from 'preact/hooks'

const current = (): string => document.documentElement.dataset.theme ?? 'light'

/** The theme in use, for what is drawn and not styled. */
export function useTheme(): string {
  const [theme, setTheme] = useState(current)
  useEffect(() => {
    const observer = new MutationObserver(() => setTheme(current()))
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    setTheme(current())
    return () => observer.disconnect()
  }, [])
  return theme
}

/** A colour of style.css, `#rgb` or `#rrggbb`, as [red, green, blue]. */
export function colour(name: string): [number, number, number] {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim().slice(1)
  const digits = hex.length === 3 ? 1 : 2
  return [0, 1, 2].map(i => {
    const part = hex.slice(i * digits, (i + 1) * digits)
    return Number.parseInt(part.padStart(2, part), 16)
  }) as [number, number, number]
}
