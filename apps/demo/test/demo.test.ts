import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { Tokenizer } from '@heed/tokenizer'
import { AutoModelForCausalLM, init } from 'heed'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startHost } from './file-host.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const site = join(root, 'dist')
const story = fileURLToPath(new URL('../../../packages/llama/test/fixtures/stories260K', import.meta.url))
const browsers = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = browsers.find(path => path && existsSync(path))
const longest = { timeout: 110_000 }

describe.skipIf(!executablePath)('the site in Chromium (skipped where none is found; CHROMIUM names one)', () => {
  let host: Server
  let browser: Browser
  let page: Page
  let address: string
  const troubles: string[] = []

  beforeAll(async () => {
    const vite = join(root, 'node_modules/vite/bin/vite.js')
    const env = { ...process.env, NODE_ENV: 'production' } // vitest's own would make a build for development
    await promisify(execFile)(process.execPath, [vite, 'build', '--logLevel', 'error'], { cwd: root, env })
    host = await startHost(site)
    address = `http://127.0.0.1:${(host.address() as AddressInfo).port}/`
    const quiet = ['--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync']
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox', ...quiet] })
    page = await (await browser.newContext({ locale: 'en-US' })).newPage()
    page.setDefaultTimeout(longest.timeout)
    page.on('pageerror', error => troubles.push(String(error)))
    page.on('console', message => void (message.type() === 'error' && troubles.push(message.text())))
  }, 180_000)

  afterAll(async () => {
    await browser?.close()
    host?.close()
  })

  const open = async (name: string): Promise<void> => {
    await page.goto(`${address}#/${name}`)
    await page.waitForSelector('h1')
  }
  const until = (condition: string): Promise<unknown> => page.waitForFunction(condition, undefined, longest)
  const fill = async (selector: string, value: string): Promise<void> => {
    await page.fill(selector, value)
    await page.press(selector, 'Tab')
  }

  test('tokens and ids are those of the tokenizer in Node', async () => {
    await open('tokenize')
    const text = 'Lily liked the 从前 🙂'
    await page.fill('main textarea >> nth=0', text)
    const expected = (await Tokenizer.fromPretrained(story)).encode(text)
    await until(`document.querySelectorAll('.token').length === ${expected.length}`)
    const titles = await page.$$eval('.tokens .token', tokens => tokens.map(token => token.getAttribute('title')))
    expect(titles).toEqual(expected.tokens.map((token, i) => `${token} · ${expected.ids[i]}`))
  })

  test('a broken tokenizer.json is refused with its name and reason', async () => {
    const buffer = Buffer.from('{"model": {"type": "Oracle"}}')
    await page.setInputFiles('main input[type=file]', { name: 'broken.json', mimeType: 'application/json', buffer })
    expect(await page.textContent('[role=alert]')).toMatch(/broken\.json: .*Oracle/)
  })

  test('a tokenizer learns from a pasted text, and its vocabulary grows under the slider', async () => {
    await open('tokenize')
    await page.fill('section textarea', 'low lower lowest new newer newest '.repeat(50))
    await page.fill('section input[type=number]', '300')
    await page.click('section button.primary')
    await page.waitForSelector('section input[type=range]')
    await page.fill('main textarea >> nth=0', ' newest')
    await until("document.querySelectorAll('section .token').length === 1")
    await page.fill('section input[type=range]', '256')
    await until("document.querySelectorAll('section .token').length === 7")
  })

  test('training lowers the loss, survives a reload, and ends in an HF folder', { timeout: 240_000 }, async () => {
    await open('train')
    await page.fill('textarea', 'the quick brown fox jumps over the lazy dog. '.repeat(400))
    for (const [place, value] of [
      [0, '60'],
      [2, '4'],
      [3, '32'],
      [4, '280'],
    ] as const) {
      await fill(`input[type=number] >> nth=${place}`, value) // steps, batch, context, vocabulary
    }
    await page.click('button.primary')
    await until("Number(document.querySelector('[data-step]')?.dataset.step) >= 8")
    await page.reload()
    await page.waitForSelector('[data-phase=paused]')
    expect(Number(await page.getAttribute('[data-step]', 'data-step'))).toBeGreaterThan(0)
    await page.click('button.primary')
    await page.waitForSelector('[data-phase=done]')
    const heights = await page.$eval('polyline.first', line =>
      line
        .getAttribute('points')!
        .split(' ')
        .map(point => Number(point.split(',')[1])),
    )
    expect(heights.length).toBeGreaterThan(30)
    expect(heights.at(-1)!).toBeGreaterThan(heights[0]! + 50) // lower in the picture
    const [saved] = await Promise.all([page.waitForEvent('download'), page.click('button.primary')])
    const names = (await readFile(await saved.path())).toString('latin1')
    for (const name of ['config.json', 'model.safetensors', 'tokenizer.json']) expect(names).toContain(name)
  })

  test('the model that was trained here writes on', async () => {
    await open('run')
    await page.click('main .actions button >> nth=1')
    await page.waitForSelector('main textarea')
    await page.fill('main textarea', 'the quick brown')
    await page.click('main button.primary >> nth=1')
    await until("document.querySelectorAll('.written .token').length > 3")
  })

  test('a dropped HF folder generates the greedy tokens of Node, with the alternatives of each', async () => {
    await init()
    const model = await AutoModelForCausalLM.fromPretrained(story)
    const prompt = (await Tokenizer.fromPretrained(story)).encode('Once upon a time').ids
    const [expected] = await model.generate([[...prompt]], { maxNewTokens: 24, doSample: false })
    model.dispose()

    await page.reload()
    await page.waitForSelector('main input[type=file]', { state: 'attached' })
    const files = (await readdir(story)).filter(name => name !== 'expected.json').map(name => join(story, name))
    await page.setInputFiles('main input[type=file]', files)
    await page.waitForSelector('main textarea')
    await page.fill('main textarea', 'Once upon a time')
    await page.check('input[type=checkbox]')
    await fill('.fields input[type=number]', '24')
    await page.click('main button.primary >> nth=1')
    await until(
      "document.querySelector('.written')?.getAttribute('aria-busy') === 'false' && document.querySelectorAll('.written .token').length === 24",
    )
    const ids = await page.getAttribute('.written', 'data-ids')
    expect(ids!.split(',').map(Number)).toEqual(expected!.slice(prompt.length))
    await page.click('.written .token >> nth=3')
    expect(await page.$$eval('meter', meters => meters.length)).toBe(8)
  })

  test('the site works without its host, and isolated, once it was visited', async () => {
    await page.goto(address)
    await page.evaluate('navigator.serviceWorker.ready.then(() => true)')
    await page.reload()
    host.close()
    host.closeAllConnections()
    await page.goto(`${address}#/tokenize`)
    await page.reload()
    await page.waitForSelector('.token')
    expect(await page.evaluate('crossOriginIsolated')).toBe(true)
  })

  test('what loads before a person can act is under 250 KB gzipped, and nothing complained', async () => {
    const html = await readFile(join(site, 'index.html'), 'utf8')
    const scripts = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g)].map(match => join(site, match[1]!))
    expect(scripts.length).toBeGreaterThan(0)
    const sizes = await Promise.all(scripts.map(async script => gzipSync(await readFile(script)).length))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250 * 1024)
    expect(troubles).toEqual([])
  })
})
