import { readdirSync, readFileSync } from 'node:fs'
import { init, tf } from '@heed/tensor-backend'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TrainerCallback } from '../../src/callbacks.ts'
import { LoraModel } from '../../src/lora.ts'
import { Trainer, type TrainerOptions } from '../../src/trainer.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { TinyModel, tinyDataset } from '../tiny-model.ts'

beforeAll(async () => {
  await init()
})

const args = { maxSteps: 8, learningRate: 0.05, loggingSteps: 1, evalStrategy: 'steps', evalSteps: 4 } as const

/** Trains a tiny model into a folder -> its page. */
async function reportOf(
  options: Partial<TrainerOptions<never>> = {},
  outputDir: string = temporaryFolder(),
): Promise<{ page: string; outputDir: string }> {
  const model = options.model ?? new TinyModel()
  const trainer = new Trainer({
    ...{ trainDataset: tinyDataset(), evalDataset: tinyDataset(90) },
    ...(options as object),
    ...{ model, args: { ...args, ...options.args, outputDir } },
  })
  try {
    await trainer.train().catch(() => {})
    return { page: readFileSync(`${outputDir}/report.html`, 'utf8'), outputDir }
  } finally {
    ;(model as TinyModel).dispose()
  }
}

/** The titles of the charts with the number of points of each curve. */
function chartsOf(page: string): Record<string, number[]> {
  const charts = page.matchAll(/<svg [^>]*aria-label="([^"]*)">(.*?)<\/svg>/gs)
  const curve = /<polyline points="([^"]*)"[^>]*stroke-width="1.8"/g
  return Object.fromEntries(
    Array.from(charts, ([, title, body]) => [
      title,
      Array.from(body!.matchAll(curve), ([, points]) => points!.split(' ').length),
    ]),
  )
}

describe('the report of a run', () => {
  test('has the curves of the log, what evaluations measured, and the configuration; it loads nothing', async () => {
    const computeMetrics = () => ({ accuracy: 0.5 })
    const { page, outputDir } = await reportOf({ computeMetrics })
    expect(chartsOf(page)).toEqual({
      'Loss (nats)': [8, 2],
      Perplexity: [2],
      'Bits per byte': [2],
      Accuracy: [2],
      'Learning rate': [8],
      'Norm of the gradients': [8],
      'Tokens/s': [8],
      'Memory in use (MB)': [8],
    })
    expect(page).toContain('<dd>8 of 8</dd>')
    expect(page).toContain('<th scope="row">learningRate</th><td>0.05</td>')
    expect(page).toContain('<details><summary>model</summary>')
    expect(page).toContain('<th scope="row">vocabSize</th><td>17</td>')
    expect(page).not.toContain('http-equiv') // it is finished
    expect(page).not.toMatch(/(?:src|href)=|@import|url\(|<script/)
    expect(readdirSync(outputDir).sort()).toEqual(['checkpoint-8', 'metrics.jsonl', 'report.html'])
  })

  test('shows texts of each evaluation, escaped, the newest first, also those from before a resume', async () => {
    let step = 0
    const sampleTexts = async () => {
      step += 4
      return [{ prompt: '<b>', text: `text ${step} & more` }]
    }
    const outputDir = temporaryFolder()
    await reportOf({ sampleTexts, args: { maxSteps: 4 } }, outputDir)
    const model = new TinyModel()
    const trainer = new Trainer({
      ...{ model, trainDataset: tinyDataset(), evalDataset: tinyDataset(90), sampleTexts },
      args: { ...args, outputDir },
    })
    await trainer.train({ resumeFromCheckpoint: true })
    model.dispose()
    const page = readFileSync(`${outputDir}/report.html`, 'utf8')
    const rows = Array.from(page.matchAll(/<tr><td>(\d)<\/td><td class="text">(.*)<\/td><\/tr>/g), match =>
      match.slice(1),
    )
    expect(rows).toEqual([
      ['8', '<b>&lt;b&gt;</b>text 8 &amp; more'],
      ['4', '<b>&lt;b&gt;</b>text 4 &amp; more'],
    ])
  })

  test('has a column for what was expected, where that is known', async () => {
    const sampleTexts = async () => [{ prompt: 'a dog', text: 'ein Hund', expected: 'der Hund' }]
    const { page } = await reportOf({ sampleTexts })
    expect(page).toContain('<td class="text">a dog</td><td class="text">ein Hund</td><td class="text">der Hund</td>')
  })

  test('says that a run stopped early, or why it failed, and loads itself again only while it goes on', async () => {
    const stopping: TrainerCallback = {
      onStepEnd({ control, state }) {
        if (state.globalStep === 3) control.shouldTrainingStop = true
      },
    }
    expect((await reportOf({ callbacks: [stopping] })).page).toContain('stopped before its last step; written at')
    const failing = { onStepEnd: () => Promise.reject(new Error('no <room>')) }
    const { page } = await reportOf({ callbacks: [failing] })
    expect(page).toContain('<p class="failed">failed after step 1: no &lt;room&gt;</p>')
    expect(page).not.toContain('http-equiv')
    const seen: string[] = []
    const outputDir = temporaryFolder()
    const reading = { onSave: () => void seen.push(readFileSync(`${outputDir}/report.html`, 'utf8')) }
    await reportOf({ callbacks: [reading], args: { saveSteps: 4 } }, outputDir)
    expect(seen[0]).toContain('<meta http-equiv="refresh" content="15">')
  })

  test('of an adapter tells its config and that of the model', async () => {
    const model = new TinyModel()
    const adapted = new LoraModel(model, { targetModules: ['lm_head'], r: 3 })
    const { page } = await reportOf({ model: adapted })
    const titles = Array.from(page.matchAll(/<summary>(adapter|model)<\/summary>/g), ([, title]) => title)
    expect(titles).toEqual(['adapter', 'model'])
    expect(page).toContain('<th scope="row">r</th><td>3</td>')
    adapted.detach().dispose()
    expect(tf.memory().numTensors).toBe(0)
  })

  test('of a long run keeps the spikes of its curves in few points', async () => {
    const callbacks: TrainerCallback[] = [
      {
        onTrainBegin({ state }) {
          for (let step = 1; step <= 20_000; step++) {
            state.logHistory.push({ step, epoch: 0, loss: step === 12_345 ? 1000 : 1, gradNorm: 1 })
          }
        },
      },
    ]
    const { page } = await reportOf({ callbacks })
    const [count] = chartsOf(page)['Loss (nats)']!
    expect(count).toBeLessThanOrEqual(620)
    const loss = /aria-label="Loss[^>]*>(.*?)<\/svg>/s.exec(page)![1]!
    const heights = /<polyline points="([^"]*)"[^>]*stroke-width="1.8"/
      .exec(loss)![1]!
      .split(' ')
      .map(pair => Number(pair.split(',')[1]))
    expect(heights.filter(y => y < 100)).toHaveLength(1)
    expect(page.length).toBeLessThan(100_000)
  })
})
