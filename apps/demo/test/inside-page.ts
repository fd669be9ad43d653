/** What the page that looks into models must show; run by demo.test.ts in its browser. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Tokenizer } from '@heed/tokenizer'
import { AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM } from 'heed'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { type InsideModel, Inspection } from '../src/inside/inspect.ts'
import { allParts } from '../src/inside/module-tree.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const folders = {
  transformer: join(root, 'apps/demo/models/en-de-2017'),
  bert: join(root, 'examples/models/countries-bert'),
  gpt2: join(root, 'apps/demo/models/stories-gpt2'),
  llama: join(root, 'packages/llama/test/fixtures/stories260K'),
}
type Name = keyof typeof folders
const names = Object.keys(folders) as Name[]

async function inspect(name: Name): Promise<Inspection> {
  const classes = { transformer: AutoModelForSeq2SeqLM, bert: AutoModelForMaskedLM }
  const { fromPretrained } = name in classes ? classes[name as keyof typeof classes] : AutoModelForCausalLM
  return new Inspection(
    (await fromPretrained(folders[name])) as unknown as InsideModel,
    await Tokenizer.fromPretrained(folders[name]),
  )
}

const sentence = 'Lily saw a big'

export function insideTests(
  pageOf: () => Page,
  open: (name: string) => Promise<void>,
  until: (condition: string) => Promise<unknown>,
): void {
  const show = async (name: Name): Promise<void> => {
    await pageOf().click(`.models button >> nth=${names.indexOf(name)}`)
    await pageOf().waitForSelector(`[data-inside=${name}]`)
  }

  test.each(names)('the diagram of %s shows every module of its tree', async name => {
    await open('inside')
    await show(name)
    const page = pageOf()
    await page.click('.diagram button')
    const inspection = await inspect(name)
    const classes = Array.from(inspection.model.namedModules(), ([, module]) => module.constructor.name)
    const lists = Array.from(allParts(inspection.root)).filter(({ className }) => className === '').length
    inspection.dispose()
    await until(`document.querySelectorAll('[role=treeitem]').length === ${classes.length + lists}`)
    const labels = await page.$$eval('[role=treeitem] > title', titles => titles.map(title => title.textContent!))
    const shown = labels.map(label => label.slice(label.indexOf(': ') + 2)).filter(label => /^[A-Z]/.test(label))
    expect(shown.sort()).toEqual(classes.sort())
  })

  test('a part that is chosen shows its formula, source, shapes and numbers of Node; arrow keys walk on', async () => {
    await open('inside')
    await show('llama')
    const page = pageOf()
    const inspection = await inspect('llama')
    const pass = await inspection.look(sentence)
    const part = Array.from(allParts(inspection.root)).find(({ path }) => path === 'model.layers.0.self_attn.k_proj')!
    const { output } = inspection.calls.find(call => call.part === part.id)!
    inspection.dispose()
    await page.fill('main input', sentence)
    await until(
      `document.querySelector('[data-inside]')?.dataset.ids === '${pass.sequences.source.map(({ id }) => id)}'`,
    )
    await page.click(`[data-part="${part.id}"]`)
    await page.waitForSelector('[data-part-path="model.layers.0.self_attn.k_proj"] [data-values=output]')
    const panel = page.locator('.part-panel')
    expect(await panel.locator('.formulas').textContent()).toBe('y = x WT')
    expect(await panel.locator('summary a').textContent()).toBe('packages/layers/src/linear.ts')
    expect(await panel.locator('.source').textContent()).toContain('export class Linear extends Module')
    const length = pass.sequences.source.length
    const shapes = await panel.locator('[data-shape]').evaluateAll(codes => codes.map(code => code.dataset.shape))
    expect(shapes).toEqual([`1×${length}×64`, `1×${length}×32`, '32×64'])
    const row = panel.locator('[data-values=output] .numbers tr >> nth=1')
    const numbers = await row.locator('td').allTextContents()
    const expected = Array.from(output!.values.subarray(32, 40), value => value.toFixed(3))
    for (const [i, text] of expected.entries()) expect(Number(numbers[i])).toBeCloseTo(Number(text), 2)
    await page.press(`[data-part="${part.id}"]`, 'ArrowDown')
    await page.waitForSelector('[data-part-path="model.layers.0.self_attn.v_proj"]')
    expect(await page.evaluate('document.activeElement.getAttribute("aria-selected")')).toBe('true')
  })

  test('the likeliest next tokens are those that Node computes for the sentence', async () => {
    const page = pageOf()
    const inspection = await inspect('llama')
    const { lens } = await inspection.look(sentence)
    inspection.dispose()
    const expected = lens.at(-1)!.at(-1)!
    const shown = await page.$$eval('[data-guesses] tr', rows =>
      rows.map(row => [Number(row.dataset.id), Number(row.dataset.probability)] as const),
    )
    expect(shown.map(([id]) => id)).toEqual(expected.map(({ id }) => id))
    for (const [i, [, probability]] of shown.entries()) expect(probability).toBeCloseTo(expected[i]!.probability, 4)
  })

  test('the rows of an attention map sum to one, for each head that is chosen', async () => {
    const page = pageOf()
    for (const head of [0, 11, 39]) {
      await page.click(`.heads button >> nth=${head}`)
      const sums = await page.$$eval('.large-map tbody tr', rows =>
        rows.map(row =>
          [...row.querySelectorAll<HTMLElement>('td')].reduce((sum, cell) => sum + Number(cell.dataset.share), 0),
        ),
      )
      expect(sums.length).toBeGreaterThan(3)
      for (const sum of sums) expect(sum).toBeCloseTo(1, 4)
    }
  })

  test('LLaMA stands beside GPT-2, with figures of both', async () => {
    const page = pageOf()
    await page.waitForSelector('.differences')
    expect(await page.locator('.differences article').count()).toBe(5)
    expect(await page.locator('[data-side=llama] >> nth=3').textContent()).toContain('no bias')
    expect(await page.locator('[data-side=gpt2] >> nth=3').textContent()).toContain('8 q')
  })

  test('what stands on colours can be read, in light and in dark (WCAG 2.2, 1.4.3)', async () => {
    await open('inside')
    for (const theme of ['light', 'dark']) {
      await pageOf().evaluate(name => document.documentElement.setAttribute('data-theme', name), theme)
      const lowest = await pageOf().$$eval('.large-map td[data-share], .lens td button', cells => {
        const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })!
        const luminance = (colour: string): number => {
          context.fillStyle = colour
          context.fillRect(0, 0, 1, 1)
          const [r, g, b] = Array.from(context.getImageData(0, 0, 1, 1).data, byte =>
            byte <= 10 ? byte / 3294.6 : ((byte / 255 + 0.055) / 1.055) ** 2.4,
          )
          return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
        }
        const contrasts = cells.map(cell => {
          const ground = luminance(getComputedStyle(cell.closest('td')!).backgroundColor)
          const ink = luminance(getComputedStyle(cell).color)
          return (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05)
        })
        return Math.min(...contrasts)
      })
      expect(lowest, theme).toBeGreaterThan(4.5)
    }
    await pageOf().reload()
  })
}
