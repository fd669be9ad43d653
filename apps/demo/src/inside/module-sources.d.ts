declare module 'virtual:module-sources' {
  const sources: Record<string, { file: string; line: number; code: string }>
  export default sources
}
