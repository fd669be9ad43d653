import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readRecipe } from '../src/recipe.ts'
import { runInBatches } from '../src/text-task.ts'
import { type CliResult, heed } from './run-cli.ts'

const fixtures = join(import.meta.dirname, '..', '..', '..', 'packages', 'transformer', 'test', 'fixtures', 'pipelines')
const fillMask = join(fixtures, 'fill-mask')
const classifier = join(fixtures, 'text-classification')

interface Expected {
  inputs: string[]
  outputs: unknown[]
}
/** What the pipelines of `transformers` say. */
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as Record<string, Expected>

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-texts-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const lines = ({ stdout }: CliResult): string[] => stdout.trimEnd().split('\n')
const objects = <T>(result: CliResult): T[] => lines(result).map(line => JSON.parse(line) as T)

describe('fill-mask', () => {
  interface Filled {
    text: string
    masks: { score: number; tokenStr: string; sequence: string }[][]
  }

  test('gives the words of transformers for each mask, as JSON and as a table', async () => {
    const { inputs, outputs } = expected['fill-mask']!
    const result = await heed(['fill-mask', fillMask, ...inputs, '--top-k', '3', '--json'])
    const filled = objects<Filled>(result)
    expect(filled.map(({ text }) => text)).toEqual(inputs)
    const words = (list: { token_str: string }[]): string[] => list.map(({ token_str }) => token_str)
    const [one, two] = outputs as [{ token_str: string }[], { token_str: string }[][]]
    expect(filled.map(({ masks }) => masks.map(mask => mask.map(({ tokenStr }) => tokenStr)))).toEqual([
      [words(one)],
      two.map(words),
    ])
    const table = await heed(['fill-mask', fillMask, '--top-k', '1'], { input: `${inputs[0]}\n` })
    expect(table.stdout).toBe('0.5773  ov  anna ov in paris.\n')
  })

  test('gives an empty line for an empty one', async () => {
    const { inputs } = expected['fill-mask']!
    const input = `${inputs[0]}\n\n${inputs[0]}\n`
    const [table, json] = await Promise.all([
      heed(['fill-mask', fillMask, '--top-k', '1'], { input }),
      heed(['fill-mask', fillMask, '--top-k', '1', '--json'], { input }),
    ])
    const filled = '0.5773  ov  anna ov in paris.'
    expect(table!.stdout).toBe(`${filled}\n\n${filled}\n`)
    expect(objects(json!)[1]).toEqual({ text: '', masks: [] })
  })

  test('of no text at all is one clear error', async () => {
    const { code, stderr } = await heed(['fill-mask', fillMask])
    expect([code, stderr]).toEqual([
      2,
      'error: standard input is empty, expected texts. Give them as arguments, by --file, or on standard input, one a line.\n',
    ])
  })
})

test('classify labels each line of a file, in its order, an empty one too', async () => {
  const file = join(folder, 'texts.txt')
  const texts = [
    'He said: it rains.',
    'Hm',
    'A much longer text that comes last when texts are sorted by length.',
    '',
    '.',
  ]
  writeFileSync(file, `${texts.join('\n')}\n`)
  const { stdout } = await heed(['classify', classifier, '--file', file, '--batch-size', '2'])
  const rows = stdout
    .slice(0, -1)
    .split('\n')
    .map(line => line.split('\t'))
  expect(rows.map(([, , text]) => text ?? '')).toEqual(texts)
  expect(rows[3]).toEqual(['']) // no label is made up
  expect(rows[1]).toEqual(['positive', '0.6178', 'Hm'])
})

test('batches have texts of like lengths, and their results come in the order of the texts', async () => {
  const texts = Array.from({ length: 50 }, (_, i) => 'x'.repeat((7 * i) % 11))
  const batches: string[][] = []
  const emitted: [string, number][] = []
  await runInBatches(
    texts,
    { label: 'test', batchSize: 2, isQuiet: true },
    async batch => {
      batches.push(batch)
      return batch.map(text => text.length)
    },
    (text, result) => emitted.push([text, result]),
  )
  expect(emitted).toEqual(texts.map(text => [text, text.length]))
  expect(Math.max(...batches.map(batch => batch.length))).toBe(2)
  const padding = batches.reduce((sum, [a, b]) => sum + (b === undefined ? 0 : Math.abs(a!.length - b.length)), 0)
  expect(padding).toBeLessThan(20)
})

test('embed gives a vector of length 1 for each text, and classify refuses pairs without a tab', async () => {
  const texts = ['Anna lives in Paris.', 'The fox']
  const [embedded, refused] = await Promise.all([
    heed(['embed', classifier, ...texts]),
    heed(['classify', classifier, 'a b', '--pairs']),
  ])
  const vectors = lines(embedded!).map(line => line.split(' ').map(Number))
  expect(vectors.length).toBe(2)
  for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
  expect(vectors[0]).not.toEqual(vectors[1])
  expect(refused!.stderr).toBe(
    'error: heed classify: text is "a b", expected a tab in it with --pairs. Put one between the two texts.\n',
  )
})

describe('a translation recipe', () => {
  const words = ['one', 'two', 'three', 'four', 'five', 'six']
  const translated = ['eins', 'zwei', 'drei', 'vier', 'fünf', 'sechs']
  const places = Array.from({ length: 48 }, (_, i) =>
    Array.from({ length: 1 + (i % 4) }, (_, j) => (5 * i + j * j) % 6),
  )
  const recipe = {
    task: 'translation',
    data: {
      train: { source: 'train.en', target: 'train.de' },
      validation: { source: 'train.en', target: 'train.de' },
      test: { source: 'train.en', target: 'train.de' },
    },
    tokenizer: { vocabSize: 300 },
    model: {
      hiddenSize: 32,
      intermediateSize: 64,
      encoderLayers: 1,
      decoderLayers: 1,
      numAttentionHeads: 2,
      hiddenDropout: 0,
    },
    training: { maxSteps: 120, maxTokensPerBatch: 60, learningRate: 0.01, saveSteps: 60 },
    averageCheckpoints: 1,
    generation: { numBeams: 2, maxNewTokens: 8 },
  }
  const write = (name: string, content: object): string => {
    const file = join(folder, name)
    writeFileSync(file, JSON.stringify(content))
    return file
  }

  test('trains a model that translate runs, scores its test, and resumes', async () => {
    writeFileSync(join(folder, 'train.en'), places.map(row => `${row.map(i => words[i]).join(' ')}\n`).join(''))
    writeFileSync(join(folder, 'train.de'), places.map(row => `${row.map(i => translated[i]).join(' ')}\n`).join(''))
    const out = join(folder, 'run')
    const args = ['train', '--recipe', write('recipe.json', recipe), '--out', out, '--json']
    const trained = await heed(args)
    expect(trained.code).toBe(0)
    const done = objects<Record<string, number | string>>(trained).at(-1)!
    expect(done).toMatchObject({ event: 'done', globalStep: 120, isInterrupted: false })
    expect(done.bleu).toBeGreaterThan(80)
    const translations = readFileSync(join(out, 'test.txt'), 'utf8').split('\n')
    expect(translations.length).toBe(places.length + 1)

    const source = readFileSync(join(folder, 'train.en'), 'utf8').split('\n')[5]!
    const [translation, resumed] = await Promise.all([
      heed(['translate', join(out, 'model'), source, '--json']),
      heed([...args, '--resume']),
    ])
    expect(objects(translation)).toEqual([{ text: source, translation: translations[5] }])
    const withGap = await heed(['translate', join(out, 'model')], { input: `${source}\n \n${source}\n` })
    expect(withGap.stdout).toBe(`${translations[5]}\n\n${translations[5]}\n`)
    expect(objects<Record<string, number>>(resumed).at(-1)).toMatchObject({ globalStep: 120, bleu: done.bleu })

    const many = readFileSync(join(folder, 'train.en'), 'utf8').repeat(40)
    for (const side of ['many.en', 'many.de']) writeFileSync(join(folder, side), many)
    const tested = { ...recipe, data: { ...recipe.data, test: { source: 'many.en', target: 'many.de' } } }
    const again = ['train', '--recipe', write('tested.json', tested), '--out', out, '--resume']
    const stopped = await heed(again, { interruptWhen: 'saved ' })
    expect([stopped.code, stopped.stderr]).toEqual([null, expect.not.stringContaining('BLEU')])

    const mend = 'Give what the run began with, or begin another with --overwrite.\n'
    const changed: [object, string][] = [
      [{ tokenizer: { vocabSize: 260 } }, 'tokenizer.vocabSize is 260, expected at least 300'],
      // as many weights as before, which would be loaded without a word
      [{ model: { ...recipe.model, numAttentionHeads: 4 } }, 'model.numAttentionHeads is 4, expected 2'],
      [{ model: { ...recipe.model, hiddenAct: 'gelu' } }, 'model.hiddenAct is gelu, expected relu'],
    ]
    const resume = ['--out', out, '--resume']
    const refused = await Promise.all([
      ...changed.map(([change], i) =>
        heed(['train', '--recipe', write(`${i}.json`, { ...recipe, ...change }), ...resume]),
      ),
      heed(['train', '--recipe', join(folder, '1.json'), ...resume, '--dry-run']),
    ])
    const said = changed.map(
      ([, each]) => `error: heed train: the recipe's ${each} as in the run in ${out}, with --resume. ${mend}`,
    )
    expect(refused.map(({ code, stderr }) => [code, stderr])).toEqual([...said, said[1]].map(each => [2, each]))

    writeFileSync(join(out, 'model', 'tokenizer_config.json'), JSON.stringify({ model_max_length: 2 }))
    const [whole, cut] = await Promise.all(
      [[], ['--truncation']].map(option => heed(['translate', join(out, 'model'), source, ...option])),
    )
    expect([whole!.stderr, whole!.stdout]).toEqual([
      expect.stringContaining('model_max_length'),
      `${translations[5]}\n`,
    ])
    expect([cut!.code, cut!.stderr]).toEqual([0, ''])
  })

  test('says what is wrong with it', async () => {
    const wrong: [object, string][] = [
      [
        { ...recipe, task: 'poetry' },
        'task is "poetry", expected one of translation. Without a recipe, heed train makes a language model.',
      ],
      [
        { ...recipe, optimiser: 1 },
        'optimiser is 1, expected only the keys task, data, tokenizer, model, training, averageCheckpoints, generation. Remove optimiser.',
      ],
      [
        { ...recipe, average_checkpoints: 2 },
        'average_checkpoints is 2, expected no such key. Write averageCheckpoints.',
      ],
      [
        { ...recipe, tokenizer: { vocabsize: 300 } },
        'tokenizer.vocabsize is 300, expected no such key. Write tokenizer.vocabSize.',
      ],
      [{ ...recipe, model: 3 }, 'model is 3, expected an object. See examples/recipes.'],
      [
        { ...recipe, data: { train: recipe.data.train } },
        'data has train, expected at least train and validation. Add them.',
      ],
      [
        { ...recipe, data: { train: 'a' } },
        'data.train is "a", expected data to have train, validation, test, each with the file names source and target.',
      ],
    ]
    for (const [i, [content, message]] of wrong.entries()) {
      const file = write(`wrong-${i}.json`, content)
      await expect(readRecipe(file)).rejects.toThrow(`${file}: ${message}`)
    }
    const broken = join(folder, 'broken.yaml')
    writeFileSync(broken, 'task: translation\ndata: [1')
    await expect(readRecipe(broken)).rejects.toThrow(/broken\.yaml: the text is not YAML, expected YAML\. .*line 2/)
    writeFileSync(broken, 'just words')
    await expect(readRecipe(broken)).rejects.toThrow(/the recipe is "just words", expected an object/)
  })

  test('is the same in YAML', async () => {
    const yaml = join(folder, 'recipe.yaml')
    const sides = '{ source: train.en, target: train.de }'
    const [model, training] = [recipe.model, recipe.training].map(part => JSON.stringify(part))
    writeFileSync(
      yaml,
      `# a translator
task: translation
data:
  train: ${sides}
  validation: ${sides}
  test: ${sides}
tokenizer:
  vocabSize: 300
model: ${model}
training: ${training}
averageCheckpoints: 1
generation: { numBeams: 2, maxNewTokens: 8 }
`,
    )
    expect(await readRecipe(yaml)).toEqual(await readRecipe(write('same.json', recipe)))
  })

  test('is tried by a dry run, which writes nothing', async () => {
    const out = join(folder, 'dry')
    const args = ['train', '--recipe', write('dry.json', recipe), '--out', out, '--dry-run']
    const [forMachines, forPeople] = [await heed([...args, '--json']), await heed(args)]
    expect(forMachines.code, forMachines.stderr).toBe(0)
    const [found] = objects<Record<string, number>>(forMachines)
    expect(found).toMatchObject({ event: 'dryRun', steps: 120 })
    expect(found!.seconds).toBeCloseTo(120 * found!.secondsPerStep!, 5)
    expect(found!.weightBytes).toBe(8 * found!.numParameters!)
    expect(forPeople.stdout).toMatch(
      /^parameters [\d,]+\nmemory {5}[\d.]+ MB, of it [\d.]+ KB .*\ntokens {5}[\d,]+: 120 steps of [\d,]+\ntime {7}\d+s at /,
    )
    expect(existsSync(out)).toBe(false)
  })
})
