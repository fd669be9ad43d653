import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { exportGgufVocabulary, Tokenizer } from '@heed/tokenizer'
import { openPretrained } from '@heed/transformer'
import { AutoModelForCausalLM, init, LlamaForCausalLM, llamaConfig, writeGgufModel } from 'heed'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumArguments, chromiumPath } from '../../../tooling/vitest/chromium.ts'
import { startHost } from './file-host.ts'
import { insideTests } from './inside-page.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const site = join(root, 'dist')
const story = fileURLToPath(new URL('../../../packages/llama/test/fixtures/stories260K', import.meta.url))
const longest = { timeout: 110_000 }

describe.skipIf(!chromiumPath)('the site in Chromium (skipped where none is found; CHROMIUM names one)', () => {
  let host: Server
  let browser: Browser
  let page: Page
  let address: string
  const troubles: string[] = []

  beforeAll(async () => {
    await init()
    const vite = join(root, 'node_modules/vite/bin/vite.js')
    const env = { ...process.env, NODE_ENV: 'production' } // vitest's own would make a build for development
    await promisify(execFile)(process.execPath, [vite, 'build', '--logLevel', 'error'], { cwd: root, env })
    host = await startHost(site)
    address = `http://127.0.0.1:${(host.address() as AddressInfo).port}/`
    browser = await chromium.launch({ executablePath: chromiumPath!, args: chromiumArguments })
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

  insideTests(() => page, open, until)

  test('the model that was trained here is asked for before there is one: the page says where to train', async () => {
    await open('run')
    await page.click('main .actions button >> nth=1')
    const english = 'No training run has finished in this browser yet. Train a model on the page “Train”, to its end'
    expect(await page.textContent('[role=alert]')).toContain(english)
    await page.click('.switches button >> nth=0')
    await page.click('main .actions button >> nth=1')
    await until("document.querySelector('[role=alert]')?.textContent.includes('这个浏览器里还没有完成的训练。')")
    await page.click('.switches button >> nth=0')
  })

  test('numbers are taken as they are typed', async () => {
    await open('train')
    const typed = { Steps: '900', 'Learning rate': '0.01', Batch: '128', Context: '96', Vocabulary: '500' }
    for (const [label, number] of Object.entries(typed)) {
      await page.getByLabel(label).press('Control+A')
      await page.keyboard.type(number)
      expect(await page.getByLabel(label).inputValue()).toBe(number)
    }
    await open('run') // the form is made anew from what it passed on
    await open('train')
    for (const [label, number] of Object.entries(typed)) {
      expect(await page.getByLabel(label).inputValue()).toBe(number)
    }
  })

  test('a field that is left empty or out of its range says so and is as it was', async () => {
    await page.fill('textarea', 'any text')
    for (const [label, typed, before] of [
      ['Steps', '', '900'],
      ['Batch', '1e', '128'],
      ['Batch', '9999', '128'],
      ['Context', '80.5', '96'],
      ['Vocabulary', '25', '500'],
    ] as const) {
      const field = page.getByLabel(label)
      await field.press('Control+A')
      await page.keyboard.press('Delete')
      await page.keyboard.type(typed)
      const message = await field.evaluate(input => (input as HTMLInputElement).validationMessage)
      expect(message).not.toBe('')
      await page.keyboard.press('Tab')
      expect(await field.inputValue()).toBe(before)
      expect(await page.textContent(`label:has-text("${label}") [role=alert]`)).toBe(message)
    }
    await page.getByLabel('Vocabulary').press('Control+A')
    await page.keyboard.type('25')
    await page.click('button.primary') // waits for the number to be mended
    expect(await page.getByLabel('Vocabulary').inputValue()).toBe('25')
    expect(await page.$('[data-phase]')).toBe(null)
    await page.reload() // the numbers of a new visit
  })

  test('a run that one tab trains is not taken away by another', async () => {
    await open('train')
    await page.fill('textarea', 'the quick brown fox jumps over the lazy dog. '.repeat(400))
    await fill('input[type=number] >> nth=0', '100000') // steps: more than the test waits for
    await page.click('button.primary')
    await page.waitForSelector('[data-phase=running]')
    const other = await page.context().newPage()
    await other.goto(`${address}#/train`)
    await other.getByRole('button', { name: 'Delete this run' }).click()
    expect(await other.textContent('[role=alert]')).toContain('Another tab of this site is training')
    await other.close()
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('button', { name: 'Delete this run' }).click()
    await page.waitForSelector('form')
    await page.reload()
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
    const tab = await page.context().newCDPSession(page)
    await tab.send('Page.setWebLifecycleState', { state: 'frozen' }) // as browsers do to tabs that are hidden for long
    await setTimeout(500)
    await tab.send('Page.setWebLifecycleState', { state: 'active' })
    await until("Number(document.querySelector('[data-step]')?.dataset.step) >= 14")
    await page.reload()
    await page.waitForSelector('[data-phase=paused]')
    expect(Number(await page.getAttribute('[data-step]', 'data-step'))).toBeGreaterThan(0)
    expect(await page.locator('polyline.first').count()).toBe(2) // loss and gradient norm so far
    expect(await page.locator('.sample').count()).toBeGreaterThan(0)
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
    expect(await page.$$eval('.guesses tr', rows => rows.map(row => Number(row.dataset.id))[0])).toBe(
      Number(ids!.split(',')[3]),
    )
  })

  test('a dropped GGUF file generates the greedy tokens of Node; a broken one is refused and takes nothing away', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'heed-site-'))
    const gguf = join(folder, 'stories.gguf')
    const tokenizer = await Tokenizer.fromPretrained(story)
    await writeGgufModel(gguf, await openPretrained(story), {
      type: 'Q8_0',
      vocabulary: exportGgufVocabulary(tokenizer, tokenizer.vocabSize),
    })
    const model = await AutoModelForCausalLM.fromPretrained(gguf)
    const prompt = (await Tokenizer.fromPretrained(gguf)).encode('Once upon a time').ids
    const [expected] = await model.generate([[...prompt]], { maxNewTokens: 12, doSample: false })
    model.dispose()

    await open('run')
    await page.reload()
    await page.waitForSelector('main input[type=file]', { state: 'attached' })
    await page.setInputFiles('main input[type=file]', gguf)
    await page.waitForSelector('main textarea')
    await page.check('input[type=checkbox]')
    await fill('.fields input[type=number]', '12')
    await page.click('main button.primary >> nth=1')
    await until("document.querySelectorAll('.written .token').length === 12")
    const ids = await page.getAttribute('.written', 'data-ids')
    expect(ids!.split(',').map(Number)).toEqual(expected!.slice(prompt.length))

    const buffer = (await readFile(gguf)).subarray(0, 60_000)
    await rm(folder, { recursive: true })
    await page.setInputFiles('main input[type=file]', { name: 'half.gguf', mimeType: '', buffer })
    expect(await page.textContent('[role=alert]')).toMatch(/half\.gguf: .*What was open before is still there/)
    await page.click('main button.primary >> nth=1')
    await until("document.querySelector('.written')?.getAttribute('aria-busy') === 'false'")
  })

  test('a dropped model fills masks, translates or chats, as it is made for', async () => {
    const drop = async (folder: string, more: Array<{ name: string; mimeType: string; buffer: Buffer }> = []) => {
      const names = (await readdir(folder)).filter(name => name !== 'expected.json')
      const files = names.map(async name => ({ name, mimeType: '', buffer: await readFile(join(folder, name)) }))
      await page.setInputFiles('main input[type=file]', [...(await Promise.all(files)), ...more])
    }
    const repository = join(root, '..', '..')
    await open('run')
    await drop(join(repository, 'examples/models/countries-bert'))
    await page.getByLabel('Text with [MASK]').fill('The capital of Japan is [MASK].')
    await page.getByRole('button', { name: 'Fill the mask' }).click()
    await until("document.querySelector('td')?.nextSibling?.textContent === 'the capital of japan is tokyo.'")

    await drop(join(repository, 'apps/demo/models/en-de-2017'))
    await page.getByLabel('Text to translate').fill('The old dog sees the horse.')
    await page.getByRole('button', { name: 'Translate' }).click()
    await until("document.querySelector('.sample')?.textContent === 'Der alte Hund sieht das Pferd.'")

    const template = Buffer.from('{% for message in messages %}{{ message.content }} {% endfor %}')
    await drop(story, [{ name: 'chat_template.jinja', mimeType: '', buffer: template }])
    await page.getByLabel('Your message').fill('Once upon a time')
    await page.getByLabel('New tokens').fill('8')
    await page.getByRole('button', { name: 'Send' }).click()
    await until(
      "document.querySelectorAll('.card').length === 2 && document.querySelectorAll('.sample')[1].textContent.length > 8",
    )
  })

  test('a message that the chat template refuses goes back to be changed, and what was open stays', async () => {
    const names = (await readdir(story)).filter(name => name !== 'expected.json')
    const template = "{% if messages[0].content == 'no' %}{{ raise_exception('Say yes') }}{% endif %}Once upon a time"
    const files = names.map(async name => ({ name, mimeType: '', buffer: await readFile(join(story, name)) }))
    await open('run')
    await page.reload()
    await page.waitForSelector('main input[type=file]', { state: 'attached' })
    await page.setInputFiles('main input[type=file]', [
      ...(await Promise.all(files)),
      { name: 'chat_template.jinja', mimeType: '', buffer: Buffer.from(template) },
    ])
    const message = page.getByLabel('Your message')
    await message.fill('no')
    await page.getByRole('button', { name: 'Send' }).click()
    expect(await page.textContent('[role=alert]')).toContain('Say yes')
    await until("document.querySelectorAll('.card').length === 0")
    expect(await message.inputValue()).toBe('no')
    await page.getByRole('button', { name: 'New conversation' }).click()
    await page.waitForSelector('[role=alert]', { state: 'detached' })

    await message.fill('yes')
    await page.getByLabel('New tokens').fill('8')
    await page.getByRole('button', { name: 'Send' }).click()
    await until("document.querySelectorAll('.sample')[1]?.textContent.length > 8")
    const broken = { name: 'broken.gguf', mimeType: '', buffer: Buffer.from('GGUF') }
    for (let i = 0; i < 2; i++) {
      await page.setInputFiles('main input[type=file]', broken)
      expect(await page.textContent('[role=alert]')).toContain('broken.gguf')
      expect(await page.inputValue('main input[type=file]')).toBe('') // it may be chosen again
    }
    expect(await page.locator('.card').count()).toBe(2)
  })

  test('a model stays open while another page is shown, and one that is writing may be replaced', async () => {
    await page.click('main .actions button.primary')
    await page.getByLabel('New tokens').fill('400')
    await page.getByRole('button', { name: 'Write on' }).click()
    await page.waitForSelector('.written .token')
    await page.click('main .actions button.primary')
    await page.waitForSelector('.written', { state: 'detached' })
    await page.getByRole('button', { name: 'Write on' }).click()
    await page.waitForSelector('.written .token')
    await open('tokenize')
    await open('run')
    expect(await page.textContent('main p[aria-live]')).toMatch(/^LlamaForCausalLM, 260,032 parameters/)
    await page.getByRole('button', { name: 'Write on' }).click()
    await page.waitForSelector('.written .token')
    expect(await page.$('[role=alert]')).toBe(null)
  })

  test('of a folder in which folders lie the outer files are taken, and a file dropped elsewhere does nothing', async () => {
    await open('run')
    await page.reload()
    await page.waitForSelector('.drop')
    const isKept = await page.evaluate(() => {
      const transfer = new DataTransfer()
      transfer.items.add(new File(['{'], 'config.json'))
      const drop = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
      document.querySelector('h1')!.dispatchEvent(drop)
      return drop.defaultPrevented
    })
    expect(isKept).toBe(true)
    await page.evaluate(() => {
      const file = (name: string, text: string) => ({
        name,
        isFile: true,
        isDirectory: false,
        file: (resolve: (file: File) => void) => resolve(new File([text], name)),
      })
      const folder = (name: string, entries: unknown[]) => ({
        name,
        isFile: false,
        isDirectory: true,
        createReader: () => ({ readEntries: (resolve: (portion: unknown[]) => void) => resolve(entries.splice(0)) }),
      })
      const dropped = folder('model', [
        folder('1_Pooling', [file('tokenizer.json', '{"inner'), file('config.json', '{}')]),
        file('tokenizer.json', '{"outer'),
        file('config.json', '{}'),
      ])
      const drop = new Event('drop', { bubbles: true, cancelable: true })
      const items = [{ webkitGetAsEntry: () => dropped }]
      Object.assign(drop, { dataTransfer: { items, types: ['Files'] } })
      document.querySelector('.drop')!.dispatchEvent(drop)
    })
    expect(await page.textContent('[role=alert]')).toMatch(/tokenizer\.json.*outer/)
  })

  test('files that no model can be made of are refused by name, and the page goes on', async () => {
    const file = (name: string, text: string) => ({ name, mimeType: '', buffer: Buffer.from(text) })
    const tokenizer = file('tokenizer.json', await readFile(join(story, 'tokenizer.json'), 'utf8'))
    const config = file('config.json', await readFile(join(story, 'config.json'), 'utf8'))
    await open('run')
    await page.reload()
    await page.waitForSelector('main input[type=file]', { state: 'attached' })
    for (const [files, expected] of [
      [[file('holiday.jpg', '\xff\xd8')], /tokenizer\.json: it is not among the files given/],
      [[tokenizer, file('config.json', '{"model_type": ')], /config\.json.*JSON/],
      [[tokenizer, config], /model\.safetensors/],
      [[tokenizer, config, file('model.safetensors', 'no weights')], /model\.safetensors/],
    ] as const) {
      await page.setInputFiles('main input[type=file]', [...files])
      expect(await page.textContent('[role=alert]')).toMatch(expected)
    }
    await page.click('main .actions button.primary')
    await page.waitForSelector('main textarea')
    expect(await page.$('[role=alert]')).toBe(null)

    await open('train')
    await page.setInputFiles('main input[type=file]', {
      name: 'song.mp3',
      mimeType: '',
      buffer: Buffer.from([255, 254]),
    })
    expect(await page.textContent('[role=alert]')).toMatch(/song\.mp3 is no text in UTF-8/)
  })

  test('a model larger than the memory is refused kindly, and a smaller one runs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'heed-site-'))
    const sizes = { hiddenSize: 256, numHiddenLayers: 4, numAttentionHeads: 4, intermediateSize: 1024, vocabSize: 512 }
    const large = new LlamaForCausalLM(llamaConfig.complete(sizes), { seed: 1 }) // 18 MB
    await large.savePretrained(folder)
    large.dispose()
    const files = [...(await readdir(folder)).map(name => join(folder, name)), join(story, 'tokenizer.json')]
    const pages = '--wasm-max-mem-pages=200' // 13 MB
    const small = await chromium.launch({
      executablePath: chromiumPath!,
      args: [...chromiumArguments, `--js-flags=${pages}`],
    })
    try {
      const other = await small.newPage({ locale: 'en-US' })
      await other.goto(`${address}?backend=wasm#/run`)
      await other.setInputFiles('main input[type=file]', files)
      expect(await other.textContent('[role=alert]')).toMatch(/bytes for a tensor cannot be had.*take a smaller model/s)
      await other.click('main .actions button.primary')
      await other.waitForSelector('main textarea')
      await other.click('main button.primary >> nth=1')
      await other.waitForSelector('.written .token')
    } finally {
      await small.close()
      await rm(folder, { recursive: true })
    }
  })

  test('a browser without WebGPU is told so where it was asked for', async () => {
    const other = await page.context().newPage()
    await other.goto(`${address}?backend=webgpu#/run`)
    await other.click('main .actions button.primary')
    expect(await other.textContent('[role=alert]')).toMatch(/webgpu.*without “\?backend=” in the address/is)
    await other.close()
  })

  test('the first paint comes within 1.5 seconds', async () => {
    const paints: number[] = []
    for (let i = 0; i < 3; i++) {
      const fresh = await browser.newContext()
      const first = await fresh.newPage()
      await first.goto(address)
      await first.waitForSelector('.token')
      paints.push(await first.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]!.startTime))
      await fresh.close()
    }
    console.log(`first contentful paint after ${paints.map(Math.round).join(', ')} ms`)
    expect(Math.min(...paints)).toBeLessThan(1500) // the quickest of three: the machine has other work
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
    await page.goto(`${address}?backend=wasm#/tokenize`)
    await page.waitForSelector('.token')
    expect(await page.evaluate('crossOriginIsolated')).toBe(true)
  })

  test('what loads before a person can act is under 250 KB gzipped, and nothing complained', async () => {
    const html = await readFile(join(site, 'index.html'), 'utf8')
    const scripts = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g)].map(match => join(site, match[1]!))
    expect(scripts.length).toBeGreaterThan(0)
    const sizes = await Promise.all(scripts.map(async script => gzipSync(await readFile(script)).length))
    const size = sizes.reduce((sum, one) => sum + one, 0)
    console.log(`${(size / 1024).toFixed(1)} KB of JavaScript, gzipped, before a person can act`)
    expect(size).toBeLessThan(250 * 1024)
    expect(troubles).toEqual([])
  })
})
