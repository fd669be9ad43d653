import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { build, defaultClientConditions, type PreviewServer, preview } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumArguments, chromiumPath } from '../../../tooling/vitest/chromium.ts'
import type { PageBackend, PageResult } from './webgpu-page/page.ts'

const root = join(import.meta.dirname, 'webgpu-page')
// A driver that is a program: the same shaders, and no GPU is needed.
const flags = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan']

describe.skipIf(!chromiumPath)('WebGPU in Chromium (skipped where none is found; CHROMIUM names one)', () => {
  const outDir = mkdtempSync(join(tmpdir(), 'heed-webgpu-'))
  let server: PreviewServer
  let browser: Browser
  let page: Page

  beforeAll(async () => {
    const config = {
      root,
      configFile: false as const,
      logLevel: 'error' as const,
      resolve: { conditions: ['@heed/source', ...defaultClientConditions] },
      worker: { format: 'es' as const },
      build: { outDir, target: 'es2023', minify: false, assetsInlineLimit: 0, chunkSizeWarningLimit: 10_000 },
    }
    await build(config)
    server = await preview({ ...config, preview: { port: 0 } })
    browser = await chromium.launch({ executablePath: chromiumPath!, args: [...chromiumArguments, ...flags] })
    page = await browser.newPage()
    await page.goto(server.resolvedUrls!.local[0]!)
    await page.waitForFunction('globalThis.run')
  }, 180_000)

  afterAll(async () => {
    await browser?.close()
    await server?.close()
    rmSync(outDir, { recursive: true, force: true })
  })

  const run = (backend: PageBackend): Promise<PageResult> => page.evaluate(`run('${backend}')`)

  test('a page trains GPT-2 and LLaMA on the GPU with the losses of tfjs on the processor, and they write the same', async () => {
    const ours = await run('webgpu')
    const theirs = await run('cpu')
    expect(ours.backend).toBe('webgpu')
    for (const name of ['gpt2', 'llama']) {
      const { losses, written } = theirs.models[name]!
      expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.3)
      for (const [step, loss] of losses.entries()) expect(ours.models[name]!.losses[step]).toBeCloseTo(loss, 3)
      expect(ours.models[name]!.written).toEqual(written)
    }
  }, 300_000)

  test('a page that does not ask for a backend takes wasm where the GPU is a program, and says so', async () => {
    const { backend, rejected } = await run('auto')
    expect(backend).toBe('wasm')
    expect(rejected).toEqual([
      { backend: 'webgpu', reason: expect.stringMatching(/^its GPU is a program: .*swiftshader/i) },
    ])
  }, 120_000)
})
