import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format, promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { build, preview } from 'vite'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { chromiumArguments, chromiumPath } from '../../tooling/vitest/chromium.ts'

const examples = join(import.meta.dirname, '..')
const root = join(examples, '..')
const folder = mkdtempSync(join(tmpdir(), 'heed-examples-')) // what a program reads is linked here, what it writes stays here

beforeAll(() => {
  for (const name of ['data', 'packages', 'examples']) symlinkSync(join(root, name), join(folder, name))
  process.chdir(folder)
})
afterAll(() => {
  process.chdir(root)
  rmSync(folder, { recursive: true, force: true })
})

/** What each program must print, line by line. */
const promised: Record<string, RegExp[]> = {
  'fill-mask': [/^[01]\.\d+ capital \| paris is the capital of france\.$/, /./, /./, /^tokyo$/],
  'embed-and-search': [
    /^0\.\d+ Tokyo is the capital of Japan\.$/,
    /^0\.\d+ The capital of Japan is Tokyo\.$/,
    /^0\.\d+ /,
  ],
  'fine-tune-classifier': [/: (0\.[89]\d|1\.00)$/, /^positive \| I found/, /^negative \| The coffee/],
  'train-gpt2': [/^step 20: loss/, /^step 40: loss/, /^step 60: loss [345]\./, /^[234]\.\d+ bits/, /^ROMEO:\n/],
  'prefer-answers': [
    /^Ben saw a big dog\. They were very scared/,
    /^The bird fell down\. They cried and were very scared/,
    /: 0\.69 -> 0\.[0-3]\d$/,
    /^Ben saw a big dog\. They were very happy/,
    /^The bird fell down\. They cried and were very happy/,
  ],
  distil: [/words alone: 4\.[1-4]\d$/, /probabilities: (3\.9\d|4\.0\d)$/],
  translate: [/-> Der alte Hund sieht das Pferd\.$/, /-> Die rote Katze sucht den Ball\.$/, /-> Ist die Lampe groß\?$/],
  'beam-search': [
    /^greedy: Das gute Kind findet das Buch\.$/,
    /^beam 1: Das gute Kind findet das Buch\.$/,
    /^beam 2: /,
    /^beam 3: /,
    /^other words: (?!Das gute)/,
  ],
  'custom-architecture': [/^[234]\.\d+ bits a byte/],
  'attention-to-svg': [/^attention\.svg: 4 heads of 9 x 9 tokens$/],
}

for (const [name, lines] of Object.entries(promised)) {
  test(`${name} prints what it promises`, async () => {
    const printed: string[] = []
    const log = vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(format(...values)))
    try {
      await import(join(examples, `${name}.ts`))
    } finally {
      log.mockRestore()
    }
    expect(printed.length).toBe(lines.length)
    for (const [i, line] of lines.entries()) expect(printed[i]).toMatch(line)
  })
}

test('attention-to-svg draws a square for each pair of tokens of each head', () => {
  const svg = readFileSync(join(folder, 'attention.svg'), 'utf8')
  expect(svg.match(/<rect /g)?.length).toBe(4 * 9 * 9)
})

test('generate-in-worker prints the story while its own thread stays free', async () => {
  const hooks = join(root, 'tooling', 'scripts', 'typescript-register.mjs')
  const program = join(examples, 'generate-in-worker.ts')
  const args = ['--import', hooks, program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  expect(stdout).toMatch(
    /^Once upon a time, there was a little girl named Lily\.(.|\n)*\nthe main thread stayed free\n$/,
  )
})

test.skipIf(!chromiumPath)('browser-page fills a mask in a page (skipped where there is no Chromium)', async () => {
  const configFile = join(examples, 'browser-page', 'vite.config.ts')
  const outDir = join(folder, 'page')
  await build({ configFile, logLevel: 'error', build: { outDir } })
  const server = await preview({ configFile, logLevel: 'error', build: { outDir }, preview: { port: 0 } })
  const chrome = await chromium.launch({ executablePath: chromiumPath!, args: chromiumArguments })
  try {
    const page = await chrome.newPage()
    await page.goto(server.resolvedUrls!.local[0]!)
    await page.getByRole('button').click() // waits until the model is there
    await page.getByText('paris is the capital of france.').waitFor()
    expect(await page.locator('#backend').textContent()).toMatch(/^wasm/)
    await page.locator('input').fill('no mask here')
    await page.getByRole('button').click()
    await page.getByText('expected at least one [MASK]').waitFor()
  } finally {
    await chrome.close()
    await server.close()
  }
})

test('pretrain-bert learns a tokenizer and a model from a small text that fill masks after loading', async () => {
  const { pretrainBert } = await import(join(examples, 'pretrain-bert.ts'))
  const { init, pipeline, tf } = await import('heed')
  await init()
  const text = join(folder, 'scene.txt')
  writeFileSync(text, readFileSync(join(root, 'data', 'tiny-shakespeare.txt'), 'utf8').slice(0, 60_000))
  const { numTensors } = tf.memory()

  const args = { maxSteps: 50, perDeviceTrainBatchSize: 8, seed: 1 }
  const { evalLoss } = await pretrainBert(text, join(folder, 'bert'), args)
  expect(evalLoss).toBeLessThan(Math.log(2048) - 1) // a guess among all tokens costs ln 2048

  const fill = await pipeline('fill-mask', join(folder, 'bert'))
  const guesses = (await fill('We [MASK] hungry for bread.')).flat()
  expect(guesses.length).toBe(5)
  const scores = guesses.map(({ score }) => score)
  expect(scores).toEqual(scores.toSorted((a, b) => b - a))
  expect(scores[0]).toBeGreaterThan(10 / 2048)
  for (const { sequence } of guesses) expect(sequence).toMatch(/^we.* hungry for bread\.$/)
  fill.dispose()
  expect(tf.memory().numTensors).toBe(numTensors)
})

test('every program has under 60 lines, and a test', () => {
  const recipe = 'pretrain-bert.ts' // longer: its steps are functions, which the full run by hand and the benchmark share
  const programs = readdirSync(examples).filter(name => name.endsWith('.ts') && name !== recipe)
  for (const name of programs) {
    expect(readFileSync(join(examples, name), 'utf8').split('\n').length, name).toBeLessThanOrEqual(61)
  }
  const tested = [...Object.keys(promised), 'generate-in-worker'].map(name => `${name}.ts`)
  expect(programs.sort()).toEqual(tested.sort())
})
