import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import { en, type LanguageName, type SiteText } from './en.ts'
import { zh } from './zh.ts'

export type { LanguageName, SiteText }

export const languages: Readonly<Record<LanguageName, SiteText>> = { en, zh }

/** The language chosen before, else the browser's. */
export function preferredLanguage(): LanguageName {
  const chosen = localStorage.getItem('language')
  if (chosen === 'en' || chosen === 'zh') return chosen
  return navigator.language.startsWith('zh') ? 'zh' : 'en'
}

export const LanguageContext = createContext<SiteText>(en)

export function useText(): SiteText {
  return useContext(LanguageContext)
}
