import type { ComponentType } from 'preact'
import { lazy, Suspense } from 'preact/compat'
import { useEffect, useState } from 'preact/hooks'
import { LanguageContext, type LanguageName, languages, preferredLanguage } from './language/language.ts'

type PageName = 'tokenize' | 'inside' | 'train' | 'run'

const pages: Record<PageName, ComponentType> = {
  tokenize: lazy(() => import('./pages/tokenize.tsx').then(module => ({ default: module.TokenizePage }))),
  inside: lazy(() => import('./pages/inside.tsx').then(module => ({ default: module.InsidePage }))),
  train: lazy(() => import('./pages/train.tsx').then(module => ({ default: module.TrainPage }))),
  run: lazy(() => import('./pages/run.tsx').then(module => ({ default: module.RunPage }))),
}
const pageNames = Object.keys(pages) as PageName[]

function currentPage(): PageName {
  const name = location.hash.replace(/^#\/?/, '') as PageName
  return pageNames.includes(name) ? name : 'tokenize'
}

/** The frame of the site: what it is, the four pages, language and theme. */
export function App() {
  const [page, setPage] = useState(currentPage)
  const [language, setLanguage] = useState<LanguageName>(preferredLanguage)
  const text = languages[language]
  useEffect(() => {
    const follow = (): void => setPage(currentPage())
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  useEffect(() => {
    document.documentElement.lang = text.code
    document.title = `${text.pages[page]} · Heed`
    localStorage.setItem('language', language)
  }, [language, page, text])
  const Page = pages[page]
  return (
    <LanguageContext.Provider value={text}>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        {text.skip}
      </button>
      <header>
        <a class="brand" href="#/tokenize">
          <img src="./icon.svg" alt="" width="28" height="28" />
          Heed
        </a>
        <nav aria-label={text.navigation}>
          {pageNames.map(name => (
            <a key={name} href={`#/${name}`} aria-current={name === page ? 'page' : undefined}>
              {text.pages[name]}
            </a>
          ))}
        </nav>
        <div class="switches">
          <button
            type="button"
            lang={text.other.code}
            aria-label={text.other.label}
            onClick={() => setLanguage(text.other.name)}
          >
            {text.other.short}
          </button>
          <ThemeButton label={text.theme} />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Suspense fallback={<p class="quiet">{text.loading}</p>}>
          <Page />
        </Suspense>
      </main>
    </LanguageContext.Provider>
  )
}

const isDarkBySystem = (): boolean => matchMedia('(prefers-color-scheme: dark)').matches

/** Light or dark; the system's choice until pressed. */
function ThemeButton({ label }: { label: string }) {
  const [isDark, setDark] = useState(
    () => (localStorage.getItem('theme') ?? (isDarkBySystem() ? 'dark' : 'light')) === 'dark',
  )
  useEffect(() => {
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light'
  }, [isDark])
  const toggle = (): void => {
    localStorage.setItem('theme', isDark ? 'light' : 'dark')
    setDark(!isDark)
  }
  return (
    <button type="button" aria-label={label} aria-pressed={isDark} onClick={toggle}>
      {isDark ? '☾' : '☀'}
    </button>
  )
}
