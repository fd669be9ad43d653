import { Tokenizer } from '@heed/tokenizer'
import { readTextFiles } from '@heed/trainer'
import { AutoModelForCausalLM } from 'heed'
import type { QuickstartOptions } from '../commands/quickstart.ts'
import { defaultRecipe, usualWarmup } from '../commands/train.ts'
import { exitCodes } from '../failure.ts'
import { checkOutputDir } from '../output-dir.ts'
import { checkPlaceOfRun } from '../resumed-run.ts'
import { bold, dim } from '../terminal/style.ts'
import { generateText } from './generate.ts'
import { runRecipe } from './train.ts'

const prompt = 'ROMEO:\n'

/** Trains on a text, saves the model, and writes text with it. Throws as `runRecipe`. */
export async function quickstart({ steps, out, data, json }: QuickstartOptions): Promise<void> {
  const isJson = json === true
  await checkOutputDir(out)
  await checkPlaceOfRun({ out, resume: false, overwrite: true }, [])
  const result = await runRecipe(
    { data: { text: await readTextFiles([data]) } },
    { ...defaultRecipe, steps, warmupSteps: usualWarmup(steps), out, overwrite: true, samplePrompt: [prompt] },
    isJson,
  )

  const tokenizer = await Tokenizer.fromPretrained(result.model)
  const model = await AutoModelForCausalLM.fromPretrained(result.model)
  const write = (text: string): void => void (isJson || process.stdout.write(text))
  write(`\n${dim('─'.repeat(60))}\n${prompt}`)
  const { ids } = tokenizer.encode(prompt)
  const maxNewTokens = defaultRecipe.blockSize - ids.length // no more than it learned with
  const sampling = { maxNewTokens, temperature: 0.8, topK: 50, topP: 1, seed: 42 }
  const text = await generateText(model, tokenizer, ids, sampling, { onText: write })
  model.dispose()
  write(`\n${dim('─'.repeat(60))}\n\n`)

  if (isJson) console.log(JSON.stringify({ event: 'done', ...result, text: prompt + text }))
  else report(result)
  if (result.isInterrupted) process.exitCode = exitCodes.interrupted
}

function report({ model, validationLoss, bitsPerByte }: Awaited<ReturnType<typeof runRecipe>>): void {
  console.log(`${bold('validation loss')}  ${validationLoss.toFixed(3)} nats per token`)
  console.log(`${bold('bits per byte')}    ${bitsPerByte!.toFixed(3)}`)
  console.log(`\nWrite more:  npx heed generate ${model} "JULIET:"`)
}
