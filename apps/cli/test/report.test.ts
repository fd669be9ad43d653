import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chromiumArguments, chromiumPath } from '../../../tooling/vitest/chromium.ts'
import { heed } from './run-cli.ts'

const root = join(import.meta.dirname, '../../..')
const stories = join(root, 'packages/llama/test/fixtures/stories260K')
let folder: string
let report: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-report-'))
  const text = join(folder, 'text.txt')
  writeFileSync(text, readFileSync(join(root, 'data/tiny-shakespeare.txt'), 'utf8').slice(0, 8_000))
  const args = ['--steps', '12', '--eval-steps', '6', '--batch-size', '4', '--block-size', '32', '--json']
  const prompts = ['--sample-prompt', 'Once upon', '--sample-prompt', 'The <dog>']
  const result = await heed(['finetune', stories, text, '--out', join(folder, 'run'), ...args, ...prompts])
  expect(result.code, result.stdout + result.stderr).toBe(0)
  report = JSON.parse(result.stdout.trim().split('\n').at(-1)!).report
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('report.html shows what the model writes to the prompts, at each evaluation', () => {
  const page = readFileSync(report, 'utf8')
  const rows = Array.from(page.matchAll(/<tr><td>(\d+)<\/td><td class="text"><b>([^<]*)<\/b>([^<]*)<\/td>/g))
  expect(rows.map(([, step, prompt]) => `${step} ${prompt}`)).toEqual([
    '12 Once upon',
    '12 The &lt;dog&gt;',
    '6 Once upon',
    '6 The &lt;dog&gt;',
  ])
  for (const [, , , text] of rows) expect(text!.length).toBeGreaterThan(10)
  expect(page).toContain('<dd>12 of 12</dd>')
})

test.skipIf(!chromiumPath)(
  'report.html is laid out without overflow, light and dark, on wide and narrow screens, and asks for nothing (skipped where there is no Chromium)',
  async () => {
    const browser = await chromium.launch({ executablePath: chromiumPath!, args: chromiumArguments })
    const url = pathToFileURL(report).href
    try {
      const looks: string[] = []
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const width of [1280, 360]) {
          const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } })
          const asked: string[] = []
          page.on('request', request => asked.push(request.url()))
          await page.goto(url)
          const found = await page.evaluate(() => ({
            overflow: document.documentElement.scrollWidth - innerWidth,
            ground: getComputedStyle(document.body).backgroundColor,
            line: getComputedStyle(document.querySelector('polyline[stroke-width="1.8"]')!).stroke,
          }))
          expect(found.overflow).toBe(0)
          expect(asked).toEqual([url])
          looks.push(`${found.ground} ${found.line}`)
        }
      }
      const [light, dark] = ['rgb(246, 248, 250) rgb(47, 111, 222)', 'rgb(18, 22, 27) rgb(107, 161, 255)']
      expect(looks).toEqual([light, light, dark, dark])
    } finally {
      await browser.close()
    }
  },
)
