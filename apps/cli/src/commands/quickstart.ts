import { fileURLToPath } from 'node:url'
import { Tokenizer } from '@heed/tokenizer'
import { readTextFiles } from '@heed/trainer'
import { Command } from 'commander'
import { AutoModelForCausalLM } from 'heed'
import { wholeNumber } from '../arguments.ts'
import { action, exitCodes } from '../failure.ts'
import { bold, dim } from '../terminal/style.ts'
import { checkOutputDir } from '../training-session.ts'
import { generateText } from './generate.ts'
import { defaultRecipe, runRecipe, usualWarmup } from './train.ts'

const bundledCorpus = fileURLToPath(new URL('../tiny-shakespeare.txt', import.meta.url))
const prompt = 'ROMEO:\n'

/** `heed quickstart`: tokenizer, model, picture and text from the bundled corpus, in about two minutes. */
export function quickstartCommand(): Command {
  return new Command('quickstart')
    .description('Train a tokenizer and a small LLaMA on Shakespeare, save both, and write text with them.')
    .option('--steps <n>', 'steps to train', wholeNumber(1), defaultRecipe.steps)
    .option('--out <folder>', 'where everything goes', 'heed-quickstart')
    .option('--data <file>', 'a UTF-8 text file in place of Shakespeare', bundledCorpus)
    .option('--json', 'print one JSON object per line')
    .addHelpText('after', '\nExample:\n  heed quickstart --steps 500 --data my-novel.txt')
    .action(
      action(async ({ steps, out, data, json }: { steps: number; out: string; data: string; json?: boolean }) => {
        const isJson = json === true
        await checkOutputDir(out)
        const result = await runRecipe(
          { text: await readTextFiles([data]) },
          { ...defaultRecipe, steps, warmupSteps: usualWarmup(steps), out, samplePrompt: [prompt] },
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
      }),
    )
}

function report({ model, validationLoss, bitsPerByte }: Awaited<ReturnType<typeof runRecipe>>): void {
  console.log(`${bold('validation loss')}  ${validationLoss.toFixed(3)} nats per token`)
  console.log(`${bold('bits per byte')}    ${bitsPerByte!.toFixed(3)}`)
  console.log(`\nWrite more:  npx heed generate ${model} "JULIET:"`)
}
