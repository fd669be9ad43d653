/** What the npm package `webgpu` exports: Dawn, the WebGPU of Chromium, as an addon. */
interface Dawn {
  create(options: string[]): GPU
  globals: Record<string, unknown>
}

export const isPage = false

// Dawn crashes when this is garbage while its devices live.
let opened: GPU | undefined

/** The entry to WebGPU in Node, by the optional package `webgpu`, or the reason why there is none. */
export async function openGpu(): Promise<GPU | string> {
  if (opened) return opened
  let dawn: Dawn
  try {
    const name: string = 'webgpu' // not a literal in `import`: bundlers and TypeScript would want the package
    dawn = (await import(name)) as Dawn
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
    return isMissing
      ? "the optional package 'webgpu' is not installed (npm i webgpu)"
      : `the package 'webgpu' cannot be loaded: ${(error as Error).message}`
  }
  // The names of WebGPU's classes and flags, which tfjs expects as globals.
  Object.assign(globalThis, dawn.globals)
  opened = dawn.create([])
  return opened
}

/** tfjs looks for WebGPU in `navigator`; it stays there no longer than `use` takes, since others take it for a browser's. */
export function withNavigatorGpu<T>(gpu: GPU, use: () => T): T {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true })
  try {
    return use()
  } finally {
    if (before) Object.defineProperty(globalThis, 'navigator', before)
    else delete (globalThis as { navigator?: unknown }).navigator
  }
}
